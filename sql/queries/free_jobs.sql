-- free_jobs: give the jobs of dead workers back to the queue.
--
-- Run after remove_dead_workers in the same transaction, if that removed any: with a
-- snapshot of its own, it sees every claim that was committed before the removal.
--
-- $1 workers bigint[]   $2 names text[]   $3 leaving boolean[]   (same length)
-- $4 channel text
--
-- The attempt that was lost is recorded, and counts: except for the second that a job loses,
-- because so far it may have been the neighbour of one that kills its workers (see
-- asyncjobs/worker/suspects.py), and except for those of a worker that said it would leave,
-- which lost nothing.
--
-- Returns the jobs that are available again: id, name, worker (its name), attempt, how many
-- count now, and queue. Those whose cancellation was asked for become cancelled and are not
-- returned.
with lost as materialized (
    select
        jobs.id,
        dead.name as worker,
        dead.leaving,
        dead.leaving or coalesce(
            jsonb_array_length(
                jsonb_path_query_array(jobs.errors, '$[*] ? (@.error == "WorkerLost")')
            ) = 1,
            false
        ) as refund
    from unnest($1::bigint[], $2::text[], $3::boolean[]) as dead (id, name, leaving)
    inner join :"schema".jobs on jobs.locked_by = dead.id
    where jobs.state = 'running'
    for update of jobs
),

freed as (
    update :"schema".jobs
    set
        state = cast(case
            when jobs.cancel_requested then 'cancelled'
            else 'available'
        end as :"schema".job_state),
        finished_at = case when jobs.cancel_requested then clock_timestamp() end,
        attempt = jobs.attempt - lost.refund::integer,
        locked_by = null,
        errors = case
            when lost.leaving then jobs.errors
            else case
                when jobs.errors is null then '[]'
                when jsonb_typeof(jobs.errors) <> 'array' then jsonb_build_array(jobs.errors)
                when jsonb_array_length(jobs.errors) >= 100 then jobs.errors - 0
                else jobs.errors
            end || jsonb_build_object(
                'attempt', jobs.attempt,
                'at', clock_timestamp(),
                'error', 'WorkerLost',
                'message', format('the worker %s fell silent', lost.worker),
                'traceback', null,
                'worker', lost.worker
            )
        end
    from lost
    where jobs.id = lost.id
    returning
        jobs.id,
        jobs.name,
        lost.worker,
        jobs.attempt,
        jobs.queue,
        jobs.priority,
        jobs.state
),

news as (
    select
        pg_notify($4, json_build_object(
            'ready', array_agg(distinct queue), 'priority', min(priority)
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
