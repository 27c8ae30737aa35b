-- examine_kept: jobs that ended and were kept, and who removes them.
--
-- Run by `asyncjobs doctor`, once.
--
-- $1 most bigint   (so many of each kind are counted, at most)
-- $2 late interval   (workers look about once a minute)
--
-- Returns a row for each state in which jobs end: state, jobs, unlimited (how many of them do
-- not say how long to keep them, of those that were looked at), and the same in each row: late
-- (how many were to be removed before now - late).
select
    ended.state::text as state,
    count(*) as jobs,
    count(*) filter (where ended.retain is null) as unlimited,
    (
        select count(*)
        from (
            select
            from :"schema".jobs
            where
                jobs.finished_at is not null
                and jobs.retain is not null
                and (timezone('UTC', jobs.finished_at) + jobs.retain)
                <= timezone('UTC', now()) - $2::interval
            limit $1::bigint
        ) as overdue
    ) as late
from (
    (
        select
            jobs.state,
            jobs.retain
        from :"schema".jobs
        where jobs.state = 'succeeded'
        limit $1::bigint
    )
    union all
    (
        select
            jobs.state,
            jobs.retain
        from :"schema".jobs
        where jobs.state = 'failed'
        limit $1::bigint
    )
    union all
    (
        select
            jobs.state,
            jobs.retain
        from :"schema".jobs
        where jobs.state = 'cancelled'
        limit $1::bigint
    )
) as ended
group by ended.state
order by ended.state;
