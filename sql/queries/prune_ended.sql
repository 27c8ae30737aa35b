-- prune_ended: remove jobs that ended some time ago and that do not say how long to keep them.
--
-- Run by every worker of a group with `retain`, about once a minute, and again as long as it
-- finds many.
--
-- $1 queues text[]   $2 retain double precision (seconds)   $3 limit integer
--
-- Returns one row: how many it removed. Several workers at once remove different ones. The
-- commit is not waited for.
with setting as materialized (
    select set_config('synchronous_commit', 'off', true) as done
),

expired as materialized (
    select picked.id
    from unnest($1::text[]) as wanted (queue)
    cross join lateral (
        select jobs.id
        from :"schema".jobs
        where
            jobs.queue = wanted.queue
            and jobs.finished_at is not null
            and jobs.retain is null
            and jobs.finished_at <= now() - $2 * interval '1 second'
        order by jobs.finished_at
        limit $3
        for update skip locked
    ) as picked
    limit $3
),

removed as (
    delete from :"schema".jobs
    where jobs.id = any(array(select expired.id from expired)) -- no join: see retry_jobs
    returning jobs.id
)

select count(removed.id) as removed
from setting
left join removed on true;
