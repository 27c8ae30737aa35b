-- read_health: what slows queues down in this database.
--
-- Run by the dashboard every few seconds while somebody looks at it.
--
-- $1 schema text
--
-- Returns one row:
--   version, live, dead (rows of jobs, estimates), vacuumed (seconds since the last vacuum),
--   table_bytes, index_bytes,
--   snapshot (seconds for which the oldest transaction has kept dead rows), snapshot_pid,
--   snapshot_user, snapshot_name (its application_name),
--   prepared (seconds since the oldest prepared transaction began), slot (a replication slot
--   that holds back the vacuum by most), slot_age (transactions),
--   listeners (connections that hear of new jobs; null if that cannot be seen),
--   connections, most_connections, queue_usage (share of the notification queue),
--   is_hidden (other users' transactions cannot be seen by this one)
with oldest as (
    select
        activity.pid,
        activity.usename,
        activity.application_name,
        extract(epoch from clock_timestamp() - activity.xact_start)::double precision as seconds
    from pg_stat_activity as activity
    where
        activity.backend_xmin is not null
        and activity.datname = current_database()
        and activity.pid <> pg_backend_pid()
        and activity.xact_start is not null
        and activity.backend_type <> 'autovacuum worker'
    order by activity.xact_start
    limit 1
),

slots as (
    select
        slot.slot_name,
        age(slot.xmin) as age
    from pg_replication_slots as slot
    where slot.xmin is not null
    order by age(slot.xmin) desc
    limit 1
)

select
    current_setting('server_version') as version,
    tables.n_live_tup as live,
    tables.n_dead_tup as dead,
    extract(
        epoch from clock_timestamp() - greatest(tables.last_vacuum, tables.last_autovacuum)
    )::double precision as vacuumed,
    pg_table_size(tables.relid) as table_bytes,
    pg_indexes_size(tables.relid) as index_bytes,
    oldest.seconds as snapshot,
    oldest.pid as snapshot_pid,
    oldest.usename as snapshot_user,
    oldest.application_name as snapshot_name,
    (
        select extract(epoch from clock_timestamp() - min(prepared.prepared))::double precision
        from pg_prepared_xacts as prepared
        where prepared.database = current_database()
    ) as prepared,
    slots.slot_name as slot,
    slots.age as slot_age,
    -- What a connection said last stands there: one that listens proves it every few seconds.
    (
        select
            case
                when
                    current_setting('track_activities')::boolean
                    and (count(*) > 0 or pg_has_role(current_user, 'pg_read_all_stats', 'usage'))
                    then count(*)
            end
        from pg_stat_activity as activity
        where
            activity.datname = current_database()
            and starts_with(activity.query, '-- prove_listening:')
    ) as listeners,
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
    current_setting('max_connections')::integer as most_connections,
    pg_notification_queue_usage() as queue_usage,
    not pg_has_role(current_user, 'pg_read_all_stats', 'usage') as is_hidden
from pg_stat_user_tables as tables
left join oldest on true
left join slots on true
where tables.schemaname = $1 and tables.relname = 'jobs';
