-- read_lanes: some lanes that are in use or paused, by name.
--
-- Run by the dashboard every few seconds while somebody looks at its page of lanes.
--
-- $1 after text        (behind this name; that of a kind with its colon begins with it)
-- $2 kind text         (key:, job: or queue: only; null for all)
-- $3 containing text   (a part of the name, in lower case; null for all)
-- $4 limit integer     (lanes)   $5 looked_at integer   (names that are looked at)
-- $6 most bigint       (jobs of a lane that are counted)
--
-- Steps from name to name: one entry of each of four indexes for each of them, however many
-- jobs a lane has. Returns up to limit rows and in any case the last that was looked at, with
-- matches false if it does not fit: then the list ends there, and goes on behind it.
with recursive names as (
    select
        $1::text as name,
        0 as place,
        0 as found,
        false as matches
    union all
    select
        following.name,
        names.place + 1,
        names.found + fits.here::integer,
        fits.here
    from names
    cross join lateral (
        select least(
            (
                select jobs.waits_in
                from :"schema".jobs
                where jobs.waits_in > names.name
                order by jobs.waits_in
                limit 1
            ),
            (
                select jobs.lane
                from :"schema".jobs
                where
                    jobs.lane > names.name
                    and jobs.state not in ('succeeded', 'failed', 'cancelled')
                    and (
                        jobs.state in ('available', 'running')
                        or jobs.waits_in = jobs.queue_lane
                        or (jobs.lane_kept and jobs.state = 'scheduled')
                    )
                order by jobs.lane
                limit 1
            ),
            (
                select jobs.queue_lane
                from :"schema".jobs
                where
                    jobs.queue_lane > names.name
                    and jobs.state in ('available', 'running')
                order by jobs.queue_lane
                limit 1
            ),
            (
                select lanes.name
                from :"schema".lanes
                where lanes.paused_at is not null and lanes.name > names.name
                order by lanes.name
                limit 1
            )
        ) as name
    ) as following
    cross join lateral (
        select $3::text is null or strpos(lower(following.name), $3::text) > 0 as here
    ) as fits
    where
        following.name is not null
        and names.found < $4::integer
        and names.place < $5::integer
        and ($2::text is null or starts_with(following.name, $2::text))
),

picked as materialized (
    select
        names.name,
        names.place,
        names.matches
    from names
    where
        names.matches
        or (names.place = $5::integer and names.place > 0)
)

select
    picked.name,
    picked.place,
    picked.matches,
    line.jobs as waiting,
    own.jobs + of_queue.jobs as let_in,
    own.running + of_queue.running as running,
    limits.name as limited_by,
    limits.concurrency,
    limits.burst,
    limits.gap,
    lanes.paused_at
from picked
left join :"schema".lanes on lanes.name = picked.name
cross join lateral (
    select count(*) as jobs
    from (
        select from :"schema".jobs
        where jobs.waits_in = picked.name and picked.matches
        limit $6::bigint
    ) as seen
) as line
cross join lateral (
    select
        count(*) as jobs,
        count(*) filter (where seen.state = 'running') as running,
        min(seen.name) as name
    from (
        select jobs.state, jobs.name
        from :"schema".jobs
        where
            jobs.lane = picked.name
            and picked.matches
            and jobs.state not in ('succeeded', 'failed', 'cancelled')
            and (
                jobs.state in ('available', 'running')
                or jobs.waits_in = jobs.queue_lane
                or (jobs.lane_kept and jobs.state = 'scheduled')
            )
        limit $6::bigint
    ) as seen
) as own
cross join lateral (
    select
        count(*) as jobs,
        count(*) filter (where seen.state = 'running') as running
    from (
        select jobs.state
        from :"schema".jobs
        where
            jobs.queue_lane = picked.name
            and picked.matches
            and jobs.state in ('available', 'running')
        limit $6::bigint
    ) as seen
) as of_queue
-- The line's first job says by whose limit a key lets in; of an empty line one that it let in.
left join lateral (
    select jobs.name
    from :"schema".jobs
    where jobs.waits_in = picked.name and jobs.state = 'waiting'
    order by jobs.priority, jobs.id
    limit 1
) as first on true
left join :"schema".limits on limits.name = case
    when starts_with(picked.name, 'key:') then 'job:' || coalesce(first.name, own.name)
    else picked.name
end
order by picked.place;
