-- 0018_replaced_runs: `enqueue` gives a job that it replaces the schedule and tick of its own, none.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs before it go on as they did. What was the run of a
-- schedule counted as one also after `enqueue` had made another job of it, and one that
-- `enqueue` rescheduled lost its place in a lane of strict order. Lists of lists are refused in
-- the function's own words.

create or replace function :"schema".enqueue_problem_of_job(
    name text, args jsonb, queue text, priority integer, tags text[], meta jsonb
) returns text
language plpgsql stable as $$
begin
    return case
        when name is null or name = '' then 'name must be that of a job, got nothing'
        when jsonb_typeof(args) <> 'object' then format(
            'args must be a JSON object, the job''s parameters by name, got %s: %s',
            jsonb_typeof(args), left(args::text, 60)
        )
        when queue in ('', '*') then format(
            'queue must be the name of a queue, got %s', coalesce(nullif(queue, ''), 'nothing')
        )
        when octet_length(queue) > 1000 then format(
            'queue must have at most 1000 bytes, got %s', octet_length(queue)
        )
        when priority not between -32767 and 32767 then format(
            'priority must be a whole number from -32767 to 32767, got %s', priority
        )
        when cardinality(tags) > 50
            then format('a job has at most 50 tags, got %s', cardinality(tags))
        when array_ndims(tags) > 1 then format('tags must be a plain list, got %s', tags)
        when array_position(tags, null) is not null then 'tags must be texts, got null'
        when jsonb_typeof(meta) <> 'object' then format(
            'meta must be a JSON object, got %s: %s', jsonb_typeof(meta), left(meta::text, 60)
        )
        else (
            select min(enqueue_problem_of_text('a tag', tag, 200)) from unnest(tags) as given (tag)
        )
    end;
end
$$;

create or replace function :"schema".enqueue_problem_of_keys(
    unique_key text, unique_for interval, unique_states text[], on_conflict text,
    concurrency_key text
) returns text
language plpgsql stable as $$
declare
    known constant text[] := enum_range(null::job_state)::text[];
    ways constant text[] := array['ignore', 'replace', 'raise', 'reschedule'];
begin
    return case
        when not coalesce(on_conflict, 'ignore') = any(ways) then format(
            'on_conflict must be one of %s, got %L', array_to_string(ways, ', '), on_conflict
        )
        when unique_key is null and (
            unique_for is not null or unique_states is not null or on_conflict <> 'ignore'
        ) then 'unique_for, unique_states and on_conflict need unique_key'
        when length(unique_key) not between 1 and 1000 then format(
            'unique_key must have 1 to 1000 characters, got %s: %L',
            length(unique_key), left(unique_key, 60)
        )
        when array_ndims(unique_states) > 1
            then format('unique_states must be a plain list, got %s', unique_states)
        when array_position(unique_states, null) is not null or not unique_states <@ known
            then format(
                'unique_states must be of %s, got %s', array_to_string(known, ', '), unique_states
            )
        when not unique_states @> array['scheduled', 'available']
            then format('unique_states must hold scheduled and available, got %s', unique_states)
        when
            not 'running' = any(unique_states)
            and unique_states && array['succeeded', 'failed', 'cancelled']
            then format(
                'unique_states with a state after running must hold running, got %s', unique_states
            )
        else coalesce(
            enqueue_problem_of_duration('unique_for', unique_for, 0, 31536000000),
            enqueue_problem_of_text('concurrency_key', concurrency_key, 200)
        )
    end;
end
$$;

-- Give the waiting job that has the key of another one that one's time, or replace it by it.
-- False if it does not wait any more.
create or replace function :"schema".enqueue_change(old_id bigint, job :"schema".jobs, replaces boolean)
returns boolean
language plpgsql
set search_path = :"schema", pg_temp
as $$
#variable_conflict use_column
declare
    old_job jobs;
    new_job jobs;
    is_future constant boolean := job.run_at > statement_timestamp();
    stays boolean;
begin
    select jobs.* into old_job
    from jobs
    where
        jobs.id = old_id
        and jobs.unique_key = job.unique_key
        and jobs.state in ('scheduled', 'waiting', 'available')
        and (jobs.attempted_at is null or 'running' = any(jobs.unique_states))
    for update;
    if not found then
        return false;
    end if;
    new_job := case when replaces then job else old_job end;
    -- One that is due and is let into its lanes already stays there.
    stays := old_job.state <> 'scheduled' and (new_job.lane, new_job.queue_lane)
        is not distinct from (old_job.lane, old_job.queue_lane);
    update jobs
    set
        run_at = job.run_at,
        state = cast(case
            when is_future then 'scheduled'
            when stays then old_job.state::text
            when coalesce(new_job.lane, new_job.queue_lane) is not null then 'waiting'
            else 'available'
        end as job_state),
        position = case
            when old_job.state = 'available' and not is_future then old_job.position
            else job.id
        end,
        lane = new_job.lane,
        queue_lane = new_job.queue_lane,
        lane_kept = case when is_future and not replaces then old_job.lane_kept end,
        waits_in = case
            when is_future then null
            when stays then old_job.waits_in
            else coalesce(new_job.lane, new_job.queue_lane)
        end,
        retain = new_job.retain,
        queue = new_job.queue,
        priority = new_job.priority,
        args = new_job.args,
        tags = new_job.tags,
        extra = case
            -- It begins anew: attempts so far do not count.
            when replaces and old_job.attempt > 0
                then coalesce(new_job.extra, '{}') || jsonb_build_object('before', old_job.attempt)
            else new_job.extra
        end,
        expires_at = new_job.expires_at,
        unique_states = new_job.unique_states,
        schedule = new_job.schedule,
        tick = new_job.tick,
        parent_id = new_job.parent_id
    where jobs.id = old_id
    returning jobs.* into new_job;
    perform enqueue_news(new_job);
    return true;
end
$$;
