-- read_queue_states: how many jobs of each queue are in each state, up to a bound.
--
-- Run by the dashboard every few seconds while somebody looks at its page of queues.
--
-- $1 most bigint
--
-- Returns queue, state, jobs, and as is_cut_short whether so many jobs of that state, in all
-- queues together, were counted that there may be more: then sample_queue_states tells. Each
-- state is written out, and in the order of its index, because only so PostgreSQL reads that;
-- of those that are available read_depths tells.
select
    counted.queue,
    counted.state,
    counted.jobs,
    sum(counted.jobs) over (partition by counted.state) >= $1::bigint as is_cut_short
from (
    select
        'scheduled' as state,
        seen.queue,
        count(*) as jobs
    from (
        select jobs.queue
        from :"schema".jobs
        where jobs.state = 'scheduled'
        order by jobs.run_at
        limit $1::bigint
    ) as seen
    group by seen.queue
    union all
    select
        'waiting' as state,
        seen.queue,
        count(*) as jobs
    from (
        select jobs.queue
        from :"schema".jobs
        where jobs.waits_in is not null
        order by jobs.waits_in
        limit $1::bigint
    ) as seen
    group by seen.queue
    union all
    select
        'running' as state,
        seen.queue,
        count(*) as jobs
    from (
        select jobs.queue
        from :"schema".jobs
        where jobs.state = 'running'
        order by jobs.locked_by
        limit $1::bigint
    ) as seen
    group by seen.queue
    union all
    select
        'succeeded' as state,
        seen.queue,
        count(*) as jobs
    from (
        select jobs.queue
        from :"schema".jobs
        where jobs.state = 'succeeded'
        order by jobs.state desc, jobs.id desc
        limit $1::bigint
    ) as seen
    group by seen.queue
    union all
    select
        'failed' as state,
        seen.queue,
        count(*) as jobs
    from (
        select jobs.queue
        from :"schema".jobs
        where jobs.state = 'failed'
        order by jobs.state desc, jobs.id desc
        limit $1::bigint
    ) as seen
    group by seen.queue
    union all
    select
        'cancelled' as state,
        seen.queue,
        count(*) as jobs
    from (
        select jobs.queue
        from :"schema".jobs
        where jobs.state = 'cancelled'
        order by jobs.state desc, jobs.id desc
        limit $1::bigint
    ) as seen
    group by seen.queue
) as counted
order by counted.queue, counted.state;
