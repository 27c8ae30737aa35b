-- deregister_worker: remove a worker that ends, and give back what it still holds.
--
-- Run by every worker as the last thing it does.
--
-- $1 worker bigint   $2 channel text
--
-- The attempts that were cut off are not counted.
with gone as (
    delete from :"schema".workers
    where workers.id = $1
    returning workers.id
),

freed as (
    update :"schema".jobs
    set
        state = cast(case
            when jobs.cancel_requested then 'cancelled'
            else 'available'
        end as :"schema".job_state),
        finished_at = case when jobs.cancel_requested then clock_timestamp() end,
        attempt = jobs.attempt - 1,
        locked_by = null
    from gone
    where jobs.state = 'running' and jobs.locked_by = gone.id
    returning jobs.queue, jobs.priority, jobs.state
)

select
    pg_notify($2, json_build_object(
        'ready', array_agg(distinct queue), 'priority', min(priority)
    )::text) as sent
from freed
where state = 'available'
having count(*) > 0;
