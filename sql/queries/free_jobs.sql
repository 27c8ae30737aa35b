-- free_jobs: give the jobs of dead workers back to the queue.
--
-- Run after remove_dead_workers in the same transaction, if that removed any: with a
-- snapshot of its own, it sees every claim that was committed before the removal.
--
-- $1 workers bigint[]   $2 names text[]   (same length)   $3 channel text
--
-- Returns the jobs that are available again: id, name, worker (its name) and attempt, which
-- stays counted. Those whose cancellation was asked for become cancelled and are not
-- returned.
with freed as (
    update :"schema".jobs
    set
        state = cast(case
            when jobs.cancel_requested then 'cancelled'
            else 'available'
        end as :"schema".job_state),
        finished_at = case when jobs.cancel_requested then clock_timestamp() end,
        locked_by = null,
        errors = coalesce(jobs.errors, '[]') || jsonb_build_object(
            'attempt', jobs.attempt,
            'at', clock_timestamp(),
            'error', 'WorkerLost',
            'message', format('the worker %s fell silent', dead.name),
            'traceback', null,
            'worker', dead.name
        )
    from unnest($1::bigint[], $2::text[]) as dead (id, name)
    where jobs.state = 'running' and jobs.locked_by = dead.id
    returning
        jobs.id,
        jobs.name,
        dead.name as worker,
        jobs.attempt,
        jobs.queue,
        jobs.priority,
        jobs.state
),

news as (
    select
        pg_notify($3, json_build_object(
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
    freed.attempt
from freed
left join news on true
where freed.state = 'available'
order by freed.id;
