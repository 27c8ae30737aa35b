-- examine_tables: how full our tables are of dead rows, and when they were vacuumed.
--
-- Run by `asyncjobs doctor`, once.
--
-- $1 schema text
--
-- Returns a row for each table: name (quoted), relation, live and dead (rows, estimates), bytes,
-- vacuumed (seconds since the last vacuum, or null) and is_left_alone (autovacuum is switched off
-- for it).
select
    format('%I.%I', tables.schemaname, tables.relname) as name,
    tables.relname::text as relation,
    tables.n_live_tup as live,
    tables.n_dead_tup as dead,
    pg_total_relation_size(tables.relid) as bytes,
    extract(
        epoch from clock_timestamp() - greatest(tables.last_vacuum, tables.last_autovacuum)
    )::double precision as vacuumed,
    exists (
        select
        from pg_options_to_table(classes.reloptions) as option
        where
            option.option_name = 'autovacuum_enabled'
            and not option.option_value::boolean
    ) as is_left_alone
from pg_stat_user_tables as tables
inner join pg_class as classes on tables.relid = classes.oid
where tables.schemaname = $1::text
order by tables.relname;
