-- read_states: how many jobs there are by state, up to a bound.
--
-- Run by the dashboard, for its tabs and its page of queues.
--
-- $1 most bigint   $2 available bigint   (the same for those that are available)
--
-- Returns a row for each state. Each is written out, because only so PostgreSQL knows the
-- index that has the state's jobs, of which up to most entries are read.
select
    'scheduled' as state,
    (
        select count(*)
        from (select from :"schema".jobs where jobs.state = 'scheduled' limit $1::bigint) as counted
    ) as jobs
union all
select -- since: 6
    'waiting' as state, -- since: 6
    ( -- since: 6
        select count(*) -- since: 6
        from ( -- since: 6
            select from :"schema".jobs -- since: 6
            where jobs.waits_in is not null limit $1::bigint -- since: 6
        ) as counted -- since: 6
    ) as jobs -- since: 6
union all -- since: 6
select
    'available' as state,
    (
        select count(*)
        from (select from :"schema".jobs where jobs.state = 'available' limit $2::bigint) as counted
    ) as jobs
union all
select
    'running' as state,
    (
        select count(*)
        from (select from :"schema".jobs where jobs.state = 'running' limit $1::bigint) as counted
    ) as jobs
union all
select
    'succeeded' as state,
    (
        select count(*)
        from (select from :"schema".jobs where jobs.state = 'succeeded' limit $1::bigint) as counted
    ) as jobs
union all
select
    'failed' as state,
    (
        select count(*)
        from (select from :"schema".jobs where jobs.state = 'failed' limit $1::bigint) as counted
    ) as jobs
union all
select
    'cancelled' as state,
    (
        select count(*)
        from (select from :"schema".jobs where jobs.state = 'cancelled' limit $1::bigint) as counted
    ) as jobs;
