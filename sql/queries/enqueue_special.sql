-- enqueue_special: enqueue_jobs for a batch in which a job asks for more than most do.
--
-- Run by every program that schedules such jobs, once for each batch of calls.
--
-- $1 jobs text   (a JSON list of objects, a job each:
--     name, queue, priority, args (JSON as text), wait (seconds), moment (ISO 8601),
--     tags, extra (a JSON object as text), expires (seconds), expires_at (ISO 8601),
--     retain (seconds), lane, queue_lane, schedule, tick, parent_id; what is absent is null)
-- $2 channel text
--
-- Returns id, state and run_at of each job, ids ascending in the order of the list. A limited
-- job goes into the line of its first lane; workers are told of the lanes, or if those are
-- many, to look at all.
with incoming as materialized (
    select
        nextval((select (quote_ident(:'schema') || '.jobs_id_seq')::regclass)) as id,
        new.*,
        coalesce(
            new.moment,
            statement_timestamp() + new.wait * interval '1 second',
            statement_timestamp()
        ) as run_at
    from rows from (
        jsonb_to_recordset($1::text::jsonb) as (
            name text, queue text, priority smallint, args text,
            wait double precision, moment timestamptz,
            tags text[], extra text,
            expires double precision, expires_at timestamptz,
            retain double precision, lane text, queue_lane text,
            schedule text, tick timestamptz, parent_id bigint
        )
    ) with ordinality as new (
        name, queue, priority, args, wait, moment, tags, extra, expires, expires_at,
        retain, lane, queue_lane, schedule, tick, parent_id, place
    )
    order by new.place
),

stored as (
    insert into :"schema".jobs (
        id, position, name, queue, priority, args, run_at, state, tags, extra, expires_at
        , retain -- since: 5
        , lane, queue_lane, waits_in -- since: 6
        , schedule, tick -- since: 9
        , parent_id -- since: 13
    )
    select
        incoming.id,
        incoming.id,
        incoming.name,
        incoming.queue,
        incoming.priority,
        incoming.args::jsonb,
        incoming.run_at,
        cast(case
            when incoming.run_at > statement_timestamp() then 'scheduled'
            when coalesce(incoming.lane, incoming.queue_lane) is not null then 'waiting'
            else 'available'
        end as :"schema".job_state),
        incoming.tags,
        incoming.extra::jsonb,
        coalesce(
            incoming.expires_at,
            statement_timestamp() + incoming.expires * interval '1 second'
        )
        , incoming.retain * interval '1 second' -- since: 5
        , incoming.lane, incoming.queue_lane -- since: 6
        , case -- since: 6
            when incoming.run_at <= statement_timestamp() -- since: 6
                then coalesce(incoming.lane, incoming.queue_lane) -- since: 6
        end -- since: 6
        , incoming.schedule, incoming.tick -- since: 9
        , incoming.parent_id -- since: 13
    from incoming
    returning id, state, run_at, queue, priority
),

-- The names of lanes in as many notifications as they need, if those are few.
lines as materialized (
    select
        named.lane,
        sum(octet_length(to_json(named.lane)::text) + 1) over (order by named.lane) / 6000 as part
    from (
        select distinct coalesce(incoming.lane, incoming.queue_lane) as lane
        from incoming
        where incoming.run_at <= statement_timestamp()
    ) as named
    where named.lane is not null
),

lane_news as (
    select
        count(pg_notify($2, json_build_object(
            'lanes', case
                when (select max(lines.part) from lines) < 5 then part.lanes
                else '["*"]'
            end
        )::text)) as sent
    from (
        select json_agg(lines.lane) as lanes
        from lines
        group by lines.part
    ) as part
),

news as (
    select
        pg_notify($2, json_strip_nulls(json_build_object(
            'first', min(id) filter (where state = 'available'),
            'ready', array_agg(distinct queue) filter (where state = 'available'),
            'priority', min(priority) filter (where state = 'available'),
            'due', extract(epoch from min(run_at) filter (where state = 'scheduled'))
        ))::text) as sent
    from stored
    where state in ('available', 'scheduled')
    having count(*) > 0
)

select
    stored.id,
    stored.state::text as state,
    stored.run_at
from stored
cross join lane_news
left join news on true
order by stored.id;
