-- inspect_indexes: which indexes of ours are broken, or much larger than what they hold.
--
-- Run by one worker about once an hour.
--
-- $1 schema text   $2 least bigint (bytes)   $3 times double precision
--
-- Returns name, bytes, needed (bytes, an estimate) and broken of indexes that are broken, or
-- that have more than $2 bytes and $3 times what they need. Broken is what a rebuild that was
-- cut off has left; one that goes on now is left out.
--
-- What an index needs: for each entry 20 bytes of header, pointer and alignment, and the
-- average width of its columns as ANALYZE found it, at the usual filling of 90 %. Where it
-- found nothing, 32 bytes a column. Rows that came since the last VACUUM, which counted the
-- entries, are taken as such.
with indexes as (
    select
        index.oid,
        index.relname as name,
        greatest(index.reltuples, 0) + coalesce(stat.n_ins_since_vacuum, 0) as entries,
        pg_relation_size(index.oid) as bytes,
        not pg_index.indisvalid as broken,
        pg_index.indrelid as relid,
        pg_index.indkey::smallint[] as columns,
        own.relname as of_table,
        access.amname as kind
    from pg_index
    inner join pg_class as index on pg_index.indexrelid = index.oid
    inner join pg_class as own on pg_index.indrelid = own.oid
    inner join pg_namespace on own.relnamespace = pg_namespace.oid
    inner join pg_am as access on index.relam = access.oid
    left join pg_stat_user_tables as stat on own.oid = stat.relid
    where
        pg_namespace.nspname = $1
        and not exists (
            select 1
            from pg_stat_progress_create_index as building
            where building.relid = pg_index.indrelid
        )
),

sizes as (
    select
        indexes.oid,
        (indexes.entries * (20 + sum(coalesce(stats.avg_width, 32))) / 0.9)::bigint as needed
    from indexes
    cross join unnest(indexes.columns) as key (attnum)
    left join pg_attribute
        on indexes.relid = pg_attribute.attrelid and key.attnum = pg_attribute.attnum
    left join pg_stats as stats
        on
            stats.schemaname = $1
            and indexes.of_table = stats.tablename
            and pg_attribute.attname = stats.attname
    group by indexes.oid, indexes.entries
)

select
    indexes.name,
    indexes.bytes,
    sizes.needed,
    indexes.broken
from indexes
inner join sizes on indexes.oid = sizes.oid
where
    indexes.broken
    or (
        indexes.kind = 'btree'
        and indexes.bytes > $2::bigint
        and indexes.bytes > $3::double precision * sizes.needed
    )
order by indexes.name;
