-- enqueue_special: enqueue_jobs for a batch in which a job asks for more than most do.
--
-- Run by every program that schedules such jobs, once for each batch of calls.
--
-- $1 jobs text   (a JSON list of objects, a job each:
--     name, queue, priority, args (JSON as text), wait (seconds), moment (ISO 8601),
--     tags, extra (a JSON object as text), expires (seconds), expires_at (ISO 8601),
--     retain (seconds); what is absent is null)
-- $2 channel text
--
-- Returns id, state and run_at of each job, ids ascending in the order of the list.
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
            retain double precision
        )
    ) with ordinality as new (
        name, queue, priority, args, wait, moment, tags, extra, expires, expires_at,
        retain, place
    )
    order by new.place
),

stored as (
    insert into :"schema".jobs (
        id, position, name, queue, priority, args, run_at, state, tags, extra, expires_at
        , retain -- since: 5
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
            else 'available'
        end as :"schema".job_state),
        incoming.tags,
        incoming.extra::jsonb,
        coalesce(
            incoming.expires_at,
            statement_timestamp() + incoming.expires * interval '1 second'
        )
        , incoming.retain * interval '1 second' -- since: 5
    from incoming
    returning id, state, run_at
),

news as (
    select
        pg_notify($2, json_strip_nulls(json_build_object(
            'ready', array_agg(distinct queue) filter (where run_at <= statement_timestamp()),
            'priority', min(priority) filter (where run_at <= statement_timestamp()),
            'due', extract(epoch from min(run_at) filter (where run_at > statement_timestamp()))
        ))::text) as sent
    from incoming
    having count(*) > 0
)

select
    stored.id,
    stored.state::text as state,
    stored.run_at
from stored, news
order by stored.id;
