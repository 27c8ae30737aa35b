-- read_queue_states: how many jobs of each queue are in each state, up to a bound.
--
-- Run by the dashboard every few seconds while somebody looks at its page of queues.
--
-- $1 to $6 bigint   (so many of each state are read, in the order of the states below)
--
-- Returns queue, state, jobs. Which states have more than are worth to be read one by one, and are
-- to be sampled instead, read_states tells before, from the indexes alone. Each state is written
-- out, and in the order of its index, because only so PostgreSQL reads that; of those that are
-- available read_depths tells.
select
    counted.queue,
    counted.state,
    counted.jobs
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
        limit $2::bigint
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
        limit $3::bigint
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
        limit $4::bigint
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
        limit $5::bigint
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
        limit $6::bigint
    ) as seen
    group by seen.queue
) as counted
order by counted.queue, counted.state;
