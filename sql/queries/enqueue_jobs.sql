-- enqueue_jobs: store a batch of jobs and wake the workers once.
--
-- Run by every program that schedules, once for each batch of calls.
--
-- $1 names text[]   $2 queues text[]   $3 priorities smallint[]   $4 args text[]   (JSON)
-- $5 waits double precision[]   (seconds, or null)   $6 moments timestamptz[]   (or null)
-- $7 parents bigint[]   (the job that schedules each of them, or null)   $8 channel text
--
-- Returns id, state and run_at of each job, ids ascending in the order of the arrays. The
-- clock is that of the statement, not of the transaction: a job stored by a long transaction
-- waits from now on. Arguments come as text, because the user's own connection may convert
-- jsonb in its own way.
with incoming as materialized (
    select
        nextval((select (quote_ident(:'schema') || '.jobs_id_seq')::regclass)) as id,
        new.name,
        new.queue,
        new.priority,
        new.args,
        new.parent_id,
        coalesce(
            new.moment,
            statement_timestamp() + new.wait * interval '1 second',
            statement_timestamp()
        ) as run_at
    from unnest(
        $1::text[], $2::text[], $3::smallint[], $4::text[],
        $5::double precision[], $6::timestamptz[], $7::bigint[]
    ) as new (name, queue, priority, args, wait, moment, parent_id)
),

stored as (
    insert into :"schema".jobs (
        id, position, name, queue, priority, args, run_at, state
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
            else 'available'
        end as :"schema".job_state)
        , incoming.parent_id -- since: 13
    from incoming
    returning id, state, run_at
),

-- What listeners are told: which queues have work, from which position on, how urgent, and when
-- the next is due.
news as (
    select
        pg_notify($8, json_strip_nulls(json_build_object(
            'first', min(id) filter (where run_at <= statement_timestamp()),
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
