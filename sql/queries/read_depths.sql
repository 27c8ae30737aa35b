-- read_depths: how many jobs of each queue wait, and since when the oldest could have run.
--
-- Run by the dashboard about once a second while somebody looks at it, and by `asyncjobs top`.
--
-- $1 most bigint   (so many of a queue are counted, at most)
--
-- Returns a row for each queue in which a job is available. The index of available jobs is
-- stepped through by queue and priority: the first of each has waited longest.
with recursive firsts as (
    (
        select
            jobs.queue,
            jobs.priority,
            jobs.run_at
        from :"schema".jobs
        where jobs.state = 'available'
        order by jobs.queue, jobs.priority, jobs.position
        limit 1
    )

    union all

    select
        following.queue,
        following.priority,
        following.run_at
    from firsts
    cross join lateral (
        select
            jobs.queue,
            jobs.priority,
            jobs.run_at
        from :"schema".jobs
        where
            jobs.state = 'available'
            and (jobs.queue, jobs.priority) > (firsts.queue, firsts.priority)
        order by jobs.queue, jobs.priority, jobs.position
        limit 1
    ) as following
)

select
    oldest.queue,
    (
        select count(*)
        from (
            select
            from :"schema".jobs
            where jobs.state = 'available' and jobs.queue = oldest.queue
            limit $1::bigint
        ) as counted
    ) as available,
    oldest.waited
from (
    select
        firsts.queue,
        greatest(
            extract(epoch from statement_timestamp() - min(firsts.run_at)), 0
        )::double precision as waited
    from firsts
    group by firsts.queue
) as oldest
order by oldest.queue;
