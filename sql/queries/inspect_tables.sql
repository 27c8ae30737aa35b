-- inspect_tables: which tables of ours hold more dead rows than live ones.
--
-- Run by one worker about once an hour.
--
-- $1 schema text   $2 least bigint (dead rows)
select
    tables.relname as name,
    tables.n_live_tup as live,
    tables.n_dead_tup as dead,
    extract(
        epoch from clock_timestamp() - greatest(tables.last_vacuum, tables.last_autovacuum)
    )::double precision as vacuumed
from pg_stat_user_tables as tables
where
    tables.schemaname = $1
    and tables.n_dead_tup > greatest($2::bigint, tables.n_live_tup)
order by tables.relname;
