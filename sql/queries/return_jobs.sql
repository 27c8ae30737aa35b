-- return_jobs: give back what a worker that ends still holds.
--
-- Run after remove_worker in the same transaction: with a snapshot of its own, it sees every
-- claim that was committed before the removal.
--
-- $1 worker bigint   $2 channel text
--
-- The attempts that were cut off are not counted.
with freed as (
    update :"schema".jobs
    set
        state = cast(case
            when jobs.cancel_requested then 'cancelled'
            else 'available'
        end as :"schema".job_state),
        finished_at = case when jobs.cancel_requested then clock_timestamp() end,
        attempt = jobs.attempt - 1,
        locked_by = null
    where jobs.state = 'running' and jobs.locked_by = $1
    returning jobs.queue, jobs.priority, jobs.state
)

select
    pg_notify($2, json_build_object(
        'ready', array_agg(distinct queue), 'priority', min(priority)
    )::text) as sent
from freed
where state = 'available'
having count(*) > 0;
