-- examine_names: of which jobs something is stored that is to run.
--
-- Run by `asyncjobs doctor`, once.
--
-- $1 most bigint   (jobs that are looked at, of each state)
--
-- Returns a row for each name: queue, jobs (of those that were looked at).
select
    looked_at.name,
    looked_at.queue,
    count(*) as jobs
from (
    (
        select
            jobs.name,
            jobs.queue
        from :"schema".jobs
        where jobs.state = 'available'
        order by jobs.queue, jobs.priority, jobs.position
        limit $1::bigint
    )
    union all
    (
        select
            jobs.name,
            jobs.queue
        from :"schema".jobs
        where jobs.state = 'scheduled'
        order by jobs.run_at
        limit $1::bigint
    )
    union all -- since: 6
    ( -- since: 6
        select -- since: 6
            jobs.name, -- since: 6
            jobs.queue -- since: 6
        from :"schema".jobs -- since: 6
        where jobs.waits_in is not null -- since: 6
        limit $1::bigint -- since: 6
    ) -- since: 6
) as looked_at
group by looked_at.name, looked_at.queue
order by looked_at.name, looked_at.queue;
