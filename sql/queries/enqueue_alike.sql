-- enqueue_alike: enqueue_jobs for a batch of one job, one queue, one priority and one time,
-- as most batches are. What is common to the rows is sent, and unpacked, once.
--
-- $1 name text   $2 queue text   $3 priority smallint
-- $4 args text   (JSON texts with U+001E, the record separator, between them)
-- $5 wait double precision   (seconds, or null)   $6 moment timestamptz   (or null)
-- $7 parent bigint   (the job that schedules them, or null)   $8 channel text
--
-- Returns one row: the ids, ascending in the order of the arguments, and what state and
-- run_at all of them have.
with common as materialized (
    select
        coalesce(
            $6::timestamptz,
            statement_timestamp() + $5::double precision * interval '1 second',
            statement_timestamp()
        ) as run_at,
        (quote_ident(:'schema') || '.jobs_id_seq')::regclass as ids,
        $7::bigint as parent_id
),

incoming as materialized (
    select
        nextval(common.ids) as id,
        new.args,
        common.run_at,
        common.parent_id
    from common
    cross join string_to_table($4::text, E'\x1e') as new (args)
),

stored as (
    insert into :"schema".jobs (
        id, position, name, queue, priority, args, run_at, state
        , parent_id -- since: 13
    )
    select
        incoming.id,
        incoming.id,
        $1::text,
        $2::text,
        $3::smallint,
        incoming.args::jsonb,
        incoming.run_at,
        cast(case
            when incoming.run_at > statement_timestamp() then 'scheduled'
            else 'available'
        end as :"schema".job_state)
        , incoming.parent_id -- since: 13
    from incoming
    returning id
),

news as (
    select
        pg_notify($8, case
            when common.run_at > statement_timestamp()
                then json_build_object('due', extract(epoch from common.run_at))
            else json_build_object(
                'first', (select min(incoming.id) from incoming),
                'ready', array[$2::text],
                'priority', $3::smallint
            )
        end::text) as sent
    from common
)

select
    array(select stored.id from stored order by stored.id) as ids,
    case when common.run_at > statement_timestamp() then 'scheduled' else 'available' end as state,
    common.run_at
from common, news;
