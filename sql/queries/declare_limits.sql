-- declare_limits: say how many jobs of a name, or of a queue, may run or start at once.
--
-- Run by a program before it first stores a job under each limit, and when a person changes one.
-- The latest word counts, also for the jobs that wait already. But a program that says what a
-- person has changed is not heard: the person's word holds until the code says another thing.
-- By a rate no lane is ahead by more than a burst; one that is, by the rate that held before,
-- gets there.
--
-- $1 names text[]   $2 concurrencies integer[]   $3 bursts integer[]
-- $4 gaps double precision[]   (same length, no name twice)
-- $5 by hand boolean   (a person says so)
-- $6 patience text   (how long another's open transaction is waited for)
with setting as materialized (
    select
        set_config('lock_timeout', $6::text, true) as patience,
        $5::boolean as by_hand
),

changed as (
    insert into :"schema".limits as known (name, concurrency, burst, gap)
    select
        told.name,
        told.concurrency,
        told.burst,
        told.gap
    from setting
    cross join
        unnest($1::text[], $2::integer[], $3::integer[], $4::double precision[])
        as told (name, concurrency, burst, gap)
    where setting.patience is not null
    order by told.name
    on conflict (name) do update
    set
        concurrency = excluded.concurrency,
        burst = excluded.burst,
        gap = excluded.gap,
        changed_at = clock_timestamp()
        , overridden = case -- since: 17
            when $5::boolean then coalesce( -- since: 17
                known.overridden, -- since: 17
                json_build_array(known.concurrency, known.burst, known.gap)::text -- since: 17
            ) -- since: 17
        end -- since: 17
    where
        (
            (known.concurrency, known.burst, known.gap)
            is distinct from (excluded.concurrency, excluded.burst, excluded.gap)
            or (known.overridden is not null and not $5::boolean) -- since: 17
        )
        and ( -- since: 17
            $5::boolean -- since: 17
            or known.overridden is distinct from -- since: 17
            json_build_array(excluded.concurrency, excluded.burst, excluded.gap)::text -- since: 17
        ) -- since: 17
    returning
        known.name,
        statement_timestamp() + known.burst * known.gap * interval '1 second' as full_at
)

update :"schema".lanes as used
set
    full_at = ahead.full_at,
    version = used.version + 1
from (
    select
        lanes.name,
        min(changed.full_at) as full_at
    from changed
    cross join lateral (
        select changed.name as lane
        union
        select jobs.lane
        from :"schema".jobs
        where jobs.waits_in is not null and 'job:' || jobs.name = changed.name
    ) as own
    inner join :"schema".lanes on lanes.name = own.lane
    where lanes.full_at > changed.full_at
    group by lanes.name
    order by lanes.name
) as ahead
where used.name = ahead.name;
