-- free_jobs: give the jobs of dead workers back to the queue.
--
-- Run after remove_dead_workers in the same transaction, if that removed any: with a
-- snapshot of its own, it sees every claim that was committed before the removal.
--
-- $1 workers bigint[], ascending   $2 names text[]   $3 leaving boolean[]   (same length)
-- $4 channel text
--
-- The attempt that was lost is recorded, and counts: except for the second that a job loses,
-- because so far it may have been the neighbour of one that kills its workers (see
-- asyncjobs/worker/suspects.py), and except for those of a worker that said it would leave,
-- which lost nothing.
--
-- (No join with jobs, as in finish_by_update.)
--
-- Returns the jobs that are available again: id, name, worker (its name), attempt, how many
-- count now, and queue. Those whose cancellation was asked for become cancelled and are not
-- returned.
with lost as materialized (
    select
        held.id,
        dead.name as worker
    from unnest($1::bigint[], $2::text[]) as dead (id, name)
    cross join lateral (
        select jobs.id
        from :"schema".jobs
        where jobs.locked_by = dead.id and jobs.state = 'running'
        for update
    ) as held
),

freed as (
    update :"schema".jobs
    set
        locked_by = null,
        (state, finished_at, attempt, errors) = (
            select
                cast(case
                    when jobs.cancel_requested then 'cancelled'
                    else 'available'
                end as :"schema".job_state),
                case when jobs.cancel_requested then clock_timestamp() end,
                case
                    when dead.leaving or coalesce(
                        jsonb_array_length(
                            jsonb_path_query_array(jobs.errors, '$[*] ? (@.error == "WorkerLost")')
                        ) = 1,
                        false
                    ) then jobs.attempt - 1
                    else jobs.attempt
                end,
                case
                    when dead.leaving then jobs.errors
                    else case
                        when jobs.errors is null then '[]'
                        when jsonb_typeof(jobs.errors) <> 'array' then jsonb_build_array(jobs.errors)
                        when jsonb_array_length(jobs.errors) >= 100 then jobs.errors - 0
                        else jobs.errors
                    end || jsonb_build_object(
                        'attempt', jobs.attempt,
                        'at', clock_timestamp(),
                        'error', 'WorkerLost',
                        'message', format('the worker %s fell silent', dead.name),
                        'traceback', null,
                        'worker', dead.name
                    )
                end
            from (
                select
                    ($2::text[])[here.place] as name,
                    ($3::boolean[])[here.place] as leaving
                from (select width_bucket(jobs.locked_by, $1::bigint[]) as place offset 0) as here
                offset 0
            ) as dead
        )
    where jobs.id = any(array(select lost.id from lost))
    returning
        jobs.id,
        jobs.name,
        (array(select lost.worker from lost order by lost.id))[
            width_bucket(jobs.id, array(select lost.id from lost order by lost.id))
        ] as worker,
        jobs.attempt,
        jobs.queue,
        jobs.priority,
        jobs.state
),

news as (
    select
        pg_notify($4, json_build_object(
            'ready', case
                when octet_length(json_agg(distinct queue)::text) > 4000
                    then array['*']
                else array_agg(distinct queue)
            end,
            'priority', min(priority)
        )::text) as sent
    from freed
    where state = 'available'
    having count(*) > 0
)

select
    freed.id,
    freed.name,
    freed.worker,
    freed.attempt,
    freed.queue
from freed
left join news on true
where freed.state = 'available'
order by freed.id;
