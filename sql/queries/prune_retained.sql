-- prune_retained: remove jobs that ended and whose time to be kept is over.
--
-- Run by every worker, about once a minute, and again as long as it finds many.
--
-- $1 limit integer
--
-- Returns one row: how many it removed, those first whose time was over first. Several
-- workers at once remove different ones. The commit is not waited for.
with setting as materialized (
    select set_config('synchronous_commit', 'off', true) as done
),

expired as materialized (
    select jobs.id
    from :"schema".jobs
    where
        jobs.finished_at is not null
        and jobs.retain is not null
        and timezone('UTC', jobs.finished_at) + jobs.retain <= timezone('UTC', now())
    order by timezone('UTC', jobs.finished_at) + jobs.retain
    limit $1
    for update skip locked
),

removed as (
    delete from :"schema".jobs
    where jobs.id = any(array(select expired.id from expired)) -- no join: see retry_jobs
    returning jobs.id
)

select count(removed.id) as removed
from setting
left join removed on true;
