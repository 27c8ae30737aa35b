-- 0010_enqueue: store jobs from triggers, psql and other languages.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs never call these functions, so they go on as before.
--
-- Psql replaces no variables inside the bodies. They find the schema as the first of the
-- search_path, which `enqueue` sets for itself and for all that it calls; the temporary tables
-- of a session come last there, so none can stand in for ours. They run with the rights of
-- whoever calls.

-- What is wrong with a text of at most so many printable characters; null if nothing.
create function :"schema".enqueue_problem_of_text(option text, value text, most integer)
returns text
language plpgsql immutable as $$
begin
    return case
        when length(value) not between 1 and most then format(
            '%s must have 1 to %s characters, got %s: %s',
            option, most, length(value), quote_literal(left(value, 60))
        )
        when value ~ E'[\\u0001-\\u001f\\u007f-\\u009f]' then format(
            '%s must be printable, got %s', option, to_json(left(value, 60))
        )
    end;
end
$$;

-- What is wrong with a duration outside of these seconds; null if nothing.
create function :"schema".enqueue_problem_of_duration(
    option text, value interval, shortest numeric, longest numeric
) returns text
language plpgsql immutable as $$
begin
    if extract(epoch from value) not between shortest and longest then
        return format('%s must be from %s to %s s, got %s', option, shortest, longest, value);
    end if;
    return null;
end
$$;

create function :"schema".enqueue_problem_of_job(
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
        when queue = '' then 'queue must be the name of a queue, got nothing'
        when priority not between -32767 and 32767 then format(
            'priority must be a whole number from -32767 to 32767, got %s', priority
        )
        when cardinality(tags) > 50
            then format('a job has at most 50 tags, got %s', cardinality(tags))
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

create function :"schema".enqueue_problem_of_times(
    wait interval, wait_until timestamptz, expires interval, expires_at timestamptz,
    retain interval
) returns text
language plpgsql stable as $$
declare
    longest constant numeric := 31536000000;
    first_moment constant timestamptz := '0002-01-01 00:00:00Z';
    last_moment constant timestamptz := '9999-01-01 00:00:00Z';
begin
    return case
        when wait is not null and wait_until is not null then format(
            'give wait or wait_until, not both: got %s and %s', wait, wait_until
        )
        when expires is not null and expires_at is not null then format(
            'give expires or expires_at, not both: got %s and %s', expires, expires_at
        )
        when wait_until < first_moment or wait_until >= last_moment
            then format('wait_until must be in a year from 2 to 9998, got %s', wait_until)
        when expires_at < first_moment or expires_at >= last_moment
            then format('expires_at must be in a year from 2 to 9998, got %s', expires_at)
        when extract(epoch from expires) = 0 then 'expires must be more than 0 s'
        else coalesce(
            enqueue_problem_of_duration('wait', wait, 0, longest),
            enqueue_problem_of_duration('expires', expires, 0, longest),
            enqueue_problem_of_duration('retain', retain, 1, 3153600000),
            case
                when expires <= wait
                    then format('expires after %s, but waits for %s', expires, wait)
            end
        )
    end;
end
$$;

create function :"schema".enqueue_problem_of_keys(
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

-- What programs make of the same name and text: a hash of a JSON list of both, in which all but
-- printable ASCII is escaped.
create function :"schema".enqueue_key(name text, key text) returns bytea
language plpgsql stable as $$
declare
    listed constant text := '[' || to_json(name)::text || ',' || to_json(key)::text || ']';
    hashed text;
begin
    if getdatabaseencoding() <> 'UTF8' and listed ~ E'[^\\u0020-\\u007e]' then
        raise exception using
            errcode = 'feature_not_supported',
            message = 'asyncjobs.enqueue: in a database that is not in UTF8, the name of a unique '
                'job and its unique_key must be ASCII';
    end if;
    select
        string_agg(
            case
                when code < 127 then letter
                when code < 65536 then E'\\u' || lpad(to_hex(code), 4, '0')
                else
                    E'\\u' || to_hex(55296 + (code - 65536) / 1024)
                    || E'\\u' || to_hex(56320 + (code - 65536) % 1024)
            end,
            '' order by place
        )
    into hashed
    from (
        select
            split.letter,
            split.place,
            ascii(split.letter) as code
        from unnest(string_to_array(listed, null)) with ordinality as split (letter, place)
    ) as letters;
    return substring(sha256(convert_to(hashed, 'UTF8')) from 1 for 16);
end
$$;

-- Tell the workers of a job as it was stored.
create function :"schema".enqueue_news(job :"schema".jobs) returns void
language plpgsql as $$
declare
    channel text := 'asyncjobs_' || current_schema;
begin
    if octet_length(channel) > 63 then
        channel := 'asyncjobs_'
            || left(encode(sha256(convert_to(current_schema, 'UTF8')), 'hex'), 32);
    end if;
    perform pg_notify(channel, json_strip_nulls(json_build_object(
        'ready', case when job.state = 'available' then json_build_array(job.queue) end,
        'priority', case when job.state = 'available' then job.priority end,
        'due', case when job.state = 'scheduled' then extract(epoch from job.run_at) end,
        'lanes', case when job.state = 'waiting' then json_build_array(job.waits_in) end
    ))::text);
exception when undefined_function or feature_not_supported then
    null;  -- a server without it: workers poll
end
$$;

-- Store the job; false if its key is taken.
create function :"schema".enqueue_insert(job :"schema".jobs) returns boolean
language plpgsql as $$
#variable_conflict use_column
begin
    insert into jobs (
        id, position, name, queue, priority, args, run_at, state, tags, extra, expires_at,
        retain, lane, queue_lane, waits_in, unique_key, unique_states
    )
    values (
        job.id, job.id, job.name, job.queue, job.priority, job.args, job.run_at, job.state,
        job.tags, job.extra, job.expires_at, job.retain, job.lane, job.queue_lane, job.waits_in,
        job.unique_key, job.unique_states
    )
    on conflict (unique_key) where
        unique_key is not null
        and state = any(unique_states)
        and (attempted_at is null or 'running' = any(unique_states))
    do nothing;
    if found then
        perform enqueue_news(job);
        return true;
    end if;
    return false;
end
$$;

-- Give the waiting job that has the key of another one that one's time, or replace it by it.
-- False if it does not wait any more.
create function :"schema".enqueue_change(old_id bigint, job :"schema".jobs, replaces boolean)
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
        lane_kept = null,
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
        unique_states = new_job.unique_states
    where jobs.id = old_id
    returning jobs.* into new_job;
    perform enqueue_news(new_job);
    return true;
end
$$;

-- Store the job unless there is one with its key; return the id of either. The unique indexes
-- decide who is first: whoever meets an open transaction there waits for its end, and then
-- looks again.
create function :"schema".enqueue_once(
    job :"schema".jobs, period interval, on_conflict text
) returns bigint
language plpgsql
set search_path = :"schema", pg_temp
as $$
#variable_conflict use_column
declare
    held jobs;
    found_id bigint;
begin
    for try in 1..100 loop
        select jobs.* into held
        from jobs
        where
            jobs.unique_key = job.unique_key
            and jobs.unique_key is not null
            and jobs.state = any(jobs.unique_states)
            and (jobs.attempted_at is null or 'running' = any(jobs.unique_states))
        limit 1;
        found_id := held.id;
        if period is not null then
            if found_id is null then
                select recent.job into found_id
                from unique_keys as recent
                where
                    recent.key = job.unique_key
                    and recent.expires_at > statement_timestamp()
                    and recent.job <> job.id;
            else
                update unique_keys as known
                set job = held.id
                where known.key = job.unique_key and known.job <> held.id;
            end if;
        end if;
        if found_id is null then
            if period is not null then
                insert into unique_keys as known (key, job, stored_at, expires_at)
                values (
                    job.unique_key, job.id, statement_timestamp(), statement_timestamp() + period
                )
                on conflict (key) do update
                set
                    job = excluded.job,
                    stored_at = excluded.stored_at,
                    expires_at = excluded.expires_at
                where known.expires_at <= statement_timestamp() or known.job = excluded.job;
                continue when not found;
            end if;
            if enqueue_insert(job) then
                return job.id;
            end if;
        elsif on_conflict = 'raise' then
            raise exception using
                errcode = 'unique_violation',
                message = format(
                    'the job %L exists already, with the same unique key: %s', job.name, found_id
                ),
                detail = found_id::text,
                schema = current_schema,
                table = 'jobs',
                constraint = 'jobs_unique';
        elsif
            on_conflict = 'ignore'
            or held.id is null
            or held.state not in ('scheduled', 'waiting', 'available')
            or enqueue_change(held.id, job, on_conflict = 'replace')
        then
            return found_id;
        end if;
    end loop;
    raise exception using
        errcode = 'lock_not_available',
        message = 'others change the job with this unique key all the time';
end
$$;

-- Store a job in the caller's transaction, as `later` does, and return its id. What is null
-- counts as not given. Raises 22023 for what is no job, and 23505 if on_conflict is `raise` and
-- an equal job exists.
create function :"schema".enqueue(
    name text,
    args jsonb default '{}',
    queue text default 'default',
    priority integer default 50,
    wait interval default null,
    wait_until timestamptz default null,
    tags text[] default null,
    meta jsonb default null,
    expires interval default null,
    expires_at timestamptz default null,
    retain interval default null,
    unique_key text default null,
    unique_for interval default null,
    unique_states text[] default null,
    on_conflict text default 'ignore',
    concurrency_key text default null
) returns bigint
language plpgsql
set search_path = :"schema", pg_temp
as $$
#variable_conflict use_column
declare
    problem constant text := coalesce(
        enqueue_problem_of_job(
            enqueue.name, enqueue.args, enqueue.queue, enqueue.priority, enqueue.tags, enqueue.meta
        ),
        enqueue_problem_of_times(
            enqueue.wait, enqueue.wait_until, enqueue.expires, enqueue.expires_at, enqueue.retain
        ),
        enqueue_problem_of_keys(
            enqueue.unique_key, enqueue.unique_for, enqueue.unique_states, enqueue.on_conflict,
            enqueue.concurrency_key
        )
    );
    seconds constant double precision := extract(epoch from enqueue.retain);
    job jobs;
    extra jsonb := '{}';
begin
    if problem is not null then
        raise exception using
            errcode = 'invalid_parameter_value', message = 'asyncjobs.enqueue: ' || problem;
    end if;
    job.id := nextval('jobs_id_seq');
    job.name := enqueue.name;
    job.args := coalesce(enqueue.args, '{}');
    job.queue := coalesce(enqueue.queue, 'default');
    job.priority := coalesce(enqueue.priority, 50);
    job.run_at := coalesce(
        enqueue.wait_until, statement_timestamp() + enqueue.wait, statement_timestamp()
    );
    job.expires_at := coalesce(enqueue.expires_at, statement_timestamp() + enqueue.expires);
    job.retain := make_interval(secs => seconds);
    job.tags := (
        select array_agg(once.tag order by once.place)
        from (
            select given.tag, min(given.place) as place
            from unnest(enqueue.tags) with ordinality as given (tag, place)
            group by given.tag
        ) as once
    );

    if enqueue.concurrency_key is not null then
        job.lane := 'key:' || enqueue.concurrency_key;
        -- One at a time, unless a program has said otherwise.
        if not exists (select from limits where limits.name = 'job:' || job.name) then
            insert into limits (name, concurrency) values ('job:' || job.name, 1)
            on conflict (name) do nothing;
        end if;
    end if;
    select limits.name into job.queue_lane
    from limits
    where
        limits.name = 'queue:' || job.queue
        and coalesce(limits.concurrency, limits.burst) is not null;

    if enqueue.meta is not null then
        extra := extra || jsonb_build_object('meta', enqueue.meta);
    end if;
    if seconds is not null then
        extra := extra || jsonb_build_object('retain', seconds);
    end if;
    if coalesce(job.lane, job.queue_lane) is not null then
        extra := extra || jsonb_build_object(
            'lanes', array_remove(array[job.lane, job.queue_lane], null)
        );
    end if;
    job.extra := nullif(extra, '{}');

    if job.run_at > statement_timestamp() then
        job.state := 'scheduled';
    elsif coalesce(job.lane, job.queue_lane) is not null then
        job.state := 'waiting';
        job.waits_in := coalesce(job.lane, job.queue_lane);
    else
        job.state := 'available';
    end if;

    if enqueue.unique_key is null then
        perform enqueue_insert(job);
        return job.id;
    end if;
    job.unique_key := enqueue_key(job.name, enqueue.unique_key);
    job.unique_states := array(
        select one.state
        from unnest(enum_range(null::job_state)) as one (state)
        where
            one.state = 'waiting'
            or one.state::text = any(coalesce(
                enqueue.unique_states, array['scheduled', 'available', 'running']
            ))
        order by one.state
    );
    return enqueue_once(job, enqueue.unique_for, coalesce(enqueue.on_conflict, 'ignore'));
end
$$;
