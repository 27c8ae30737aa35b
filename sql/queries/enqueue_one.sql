-- enqueue_one: enqueue_jobs for one job that waits for no time, as most calls store when few
-- are made at once. Nothing has to be unpacked, put in order or kept aside.
--
-- $1 name text   $2 queue text   $3 priority smallint   $4 args text   (JSON)
-- $5 parent bigint   (the job that schedules it, or null)   $6 channel text
--
-- Returns the job's id and run_at; it is available.
insert into :"schema".jobs (
    id, position, name, queue, priority, args, run_at, state
    , parent_id -- since: 13
)
select
    new.id,
    new.id,
    $1::text,
    $2::text,
    $3::smallint,
    $4::text::jsonb,
    statement_timestamp(),
    'available'
    , new.parent_id -- since: 13
from (
    select
        nextval((quote_ident(:'schema') || '.jobs_id_seq')::regclass) as id,
        $5::bigint as parent_id
) as new
returning
    id,
    run_at,
    pg_notify($6, json_build_object(
        'first', id, 'ready', array[$2::text], 'priority', $3::smallint
    )::text) as sent;
