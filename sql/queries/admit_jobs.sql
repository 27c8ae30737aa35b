-- admit_jobs: let the first jobs of lanes in, as many as their limits allow.
--
-- Run by a worker when a job came into a line, when one that had been let in ended, when a
-- rate limit allows another, and by its sweep.
--
-- $1 lanes text[]   $2 most integer   (jobs let into one lane at once)   $3 channel text
--
-- Returns one row: how many jobs became available and of which queues; the lanes to look at
-- again at once, because somebody else changed them meanwhile, because they have more to let
-- in, or because a job went on to them; and the lanes that let a job in after some seconds.
--
-- Everything is counted in one snapshot, without waiting for anybody. Then the lanes with
-- room are locked, and those left out whose version is not that of the snapshot any more:
-- somebody has let jobs in that the snapshot does not show. Jobs that ended meanwhile only
-- make more room; who ends one looks again afterwards. The commit is not waited for: what a
-- crash undoes has not started, because a claim that saw it would be undone with it.
with setting as materialized (
    select set_config('synchronous_commit', 'off', true) as done
),

-- The line's first job says by whose limit the lane lets in. A lane where jobs only stand
-- because they were paused has none.
asked as materialized (
    select
        line.lane,
        lanes.version,
        limits.concurrency,
        limits.burst,
        limits.gap,
        greatest(lanes.full_at, statement_timestamp()) as full_at
    from (select distinct lane from unnest($1::text[]) as told (lane)) as line
    left join :"schema".lanes on lanes.name = line.lane
    cross join lateral (
        select case
            when jobs.waits_in = jobs.lane then 'job:' || jobs.name
            when jobs.waits_in = jobs.queue_lane then jobs.queue_lane
        end as rule
        from :"schema".jobs
        where jobs.waits_in = line.lane and jobs.state = 'waiting'
        order by jobs.priority, jobs.id
        limit 1
    ) as head
    left join :"schema".limits on limits.name = head.rule
    where lanes.paused_at is null
),

-- By the rate, jobs that were let in but have not started count as starting now.
budget as materialized (
    select
        asked.lane,
        asked.version,
        asked.concurrency,
        asked.gap,
        asked.burst,
        own.jobs + of_queue.jobs as held,
        own.unstarted + of_queue.unstarted as unstarted,
        case when asked.gap is not null then greatest(
            asked.full_at,
            statement_timestamp()
            + least(own.unstarted + of_queue.unstarted, asked.burst)
            * asked.gap * interval '1 second'
        ) end as full_at
    from asked
    cross join lateral (
        select
            count(*) as jobs,
            count(*) filter (where jobs.state = 'available') as unstarted
        from :"schema".jobs
        where
            jobs.lane = asked.lane
            and jobs.state not in ('succeeded', 'failed', 'cancelled')
            and (
                jobs.state in ('available', 'running')
                or jobs.waits_in = jobs.queue_lane
                or (jobs.lane_kept and jobs.state = 'scheduled')
            )
    ) as own
    cross join lateral (
        select
            count(*) as jobs,
            count(*) filter (where jobs.state = 'available') as unstarted
        from :"schema".jobs
        where jobs.queue_lane = asked.lane and jobs.state in ('available', 'running')
    ) as of_queue
),

room as materialized (
    select
        rated.*,
        greatest(least($2::bigint, rated.concurrency - rated.held, rated.starts), 0) as places
    from (
        select
            budget.*,
            floor(
                budget.burst
                - extract(epoch from budget.full_at - statement_timestamp()) / budget.gap
            )::bigint as starts
        from budget
    ) as rated
),

-- Those behind a job that is not let in wait with it, even if their own limit is higher. One
-- more than has room by the first one's limit is looked at, in case that its own is higher. One
-- with another rate is not let in before it is the first, and its rate the lane's.
chosen as materialized (
    select
        room.*,
        first.jobs,
        first.ids,
        first.mixed,
        room.full_at + first.jobs * room.gap * interval '1 second' as new_full_at
    from room
    cross join lateral (
        select
            count(*) filter (where line.fits) as jobs,
            array_agg(line.id) filter (where line.fits) as ids,
            coalesce(bool_or(line.other_rate), false) as mixed
        from (
            select
                next.id,
                bool_and(
                    next.place <= least($2, room.starts)
                    and coalesce(room.held + next.place <= limits.concurrency, true)
                    and (limits.burst, limits.gap) is not distinct from (room.burst, room.gap)
                ) over (order by next.place) as fits,
                (limits.burst, limits.gap) is distinct from (room.burst, room.gap) as other_rate
            from (
                select
                    jobs.id,
                    case
                        when jobs.waits_in = jobs.lane then 'job:' || jobs.name
                        when jobs.waits_in = jobs.queue_lane then jobs.queue_lane
                    end as rule,
                    row_number() over (order by jobs.priority, jobs.id) as place
                from :"schema".jobs
                where jobs.waits_in = room.lane and jobs.state = 'waiting'
                order by jobs.priority, jobs.id
                limit case when room.places > 0 then room.places + 1 else 0 end
            ) as next
            left join :"schema".limits on limits.name = next.rule
        ) as line
    ) as first
),

-- A lane whose jobs were let in but do not start is written too: its rate stands still.
wanted as materialized (
    select chosen.*
    from chosen
    where chosen.jobs > 0 or (chosen.gap is not null and chosen.unstarted > 0)
),

locked as materialized (
    select lanes.name, lanes.version
    from :"schema".lanes
    cross join setting
    where lanes.name = any(array(select wanted.lane from wanted))
    order by lanes.name
    for update of lanes skip locked
),

created as (
    insert into :"schema".lanes (name, version, full_at)
    select wanted.lane, 1, wanted.new_full_at
    from wanted
    where wanted.version is null
    order by wanted.lane
    on conflict (name) do nothing
    returning name
),

fit as materialized (
    select wanted.*
    from wanted
    inner join (
        select locked.name, locked.version from locked
        union all
        select created.name, 0 from created
    ) as ours on ours.name = wanted.lane and ours.version = coalesce(wanted.version, 0)
),

written as (
    update :"schema".lanes
    set
        version = lanes.version + 1,
        full_at = coalesce(fit.new_full_at, lanes.full_at),
        used_at = statement_timestamp()
    from fit
    where lanes.name = fit.lane and fit.version is not null
),

picked as materialized (
    select one.id
    from (select unnest(fit.ids) as id, fit.lane from fit) as first
    cross join lateral (
        select jobs.id
        from :"schema".jobs
        where jobs.id = first.id and jobs.waits_in = first.lane and jobs.state = 'waiting'
        for update skip locked
    ) as one
),

-- At the end of what is available, where a claim looks first, in the order of the line.
placed as materialized (
    select
        in_line.id,
        nextval((select (quote_ident(:'schema') || '.jobs_id_seq')::regclass)) as position
    from (select picked.id from picked order by picked.id) as in_line
),

-- From the place where it was put by a pause to its own lane, then to its queue's.
moved as (
    update :"schema".jobs
    set
        (state, waits_in) = (
            select
                cast(case
                    when next.lane is null then 'available'
                    else 'waiting'
                end as :"schema".job_state),
                next.lane
            from (
                select case
                    when jobs.waits_in = jobs.queue_lane then null
                    when jobs.waits_in = jobs.lane then jobs.queue_lane
                    else coalesce(jobs.lane, jobs.queue_lane)
                end as lane
                offset 0
            ) as next
        ),
        position = (array(select placed.position from placed order by placed.id))[
            width_bucket(jobs.id, array(select placed.id from placed order by placed.id))
        ]
    where jobs.id = any(array(select placed.id from placed)) -- no join: see retry_jobs
    returning jobs.queue, jobs.priority, jobs.position, jobs.waits_in
),

news as (
    select
        count(*) as jobs,
        array_agg(distinct moved.queue) as queues,
        case when count(*) > 0 then
            pg_notify($3, json_build_object(
                'first', min(moved.position),
                'ready', case
                    when octet_length(json_agg(distinct moved.queue)::text) > 4000
                        then array['*']
                    else array_agg(distinct moved.queue)
                end,
                'priority', min(moved.priority)
            )::text)
        end as sent
    from moved
    where moved.waits_in is null
)

select
    news.jobs,
    coalesce(news.queues, '{}') as queues,
    array(
        select moved.waits_in from moved where moved.waits_in is not null
        union
        select chosen.lane
        from chosen
        where
            chosen.jobs > 0
            and (chosen.jobs = $2 or chosen.jobs > chosen.places or chosen.mixed)
        union
        (
            select wanted.lane from wanted where wanted.jobs > 0
            except
            select fit.lane from fit
        )
    ) as again,
    array(
        select chosen.lane
        from chosen
        where chosen.starts - chosen.jobs < 1
        order by chosen.lane
    ) as later,
    array(
        select greatest(
            extract(
                epoch from chosen.full_at - statement_timestamp()
                + (chosen.jobs + 1 - chosen.burst) * chosen.gap * interval '1 second'
            ),
            0.001
        )::double precision
        from chosen
        where chosen.starts - chosen.jobs < 1
        order by chosen.lane
    ) as seconds
from news;
