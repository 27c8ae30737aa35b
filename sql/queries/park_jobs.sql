-- park_jobs: put the jobs of one name that do not run yet where they wait for its resumption.
--
-- Run after pause_lane for `job:...`. Reads every job that is available or waits.
--
-- $1 name text   $2 limit integer
--
-- Returns how many; the limit means that there may be more. They let go of the lanes they held, so that others may pass. Their order
-- stays.
with parked as (
    update :"schema".jobs
    set state = 'waiting', waits_in = 'job:' || $1::text
    where jobs.id = any(array(
        select ready.id
        from :"schema".jobs as ready
        where
            ready.name = $1
            and ready.state in ('available', 'waiting')
            and ready.waits_in is distinct from 'job:' || $1::text
        limit $2
        for update skip locked
    ))
    returning jobs.id
)

select count(*) as jobs
from parked;
