-- examine_indexes: our indexes that cannot be used, and how large each should be.
--
-- Run by `asyncjobs doctor`, once.
--
-- $1 schema text
--
-- Returns a row for each index: name (quoted), relation, is_valid, is_building, bytes, and for
-- B-trees of plain columns expected: the bytes of as many entries as were counted last, of
-- columns as wide as they were on average, in pages that are nine tenths full. Both are from the
-- last vacuum or analyze; expected is null without one.
select
    format('%I.%I', spaces.nspname, classes.relname) as name,
    classes.relname::text as relation,
    indexes.indisvalid and indexes.indisready as is_valid,
    exists (
        select
        from pg_stat_progress_create_index as progress
        where progress.index_relid = classes.oid
    ) as is_building,
    pg_relation_size(classes.oid) as bytes,
    case
        when methods.amname = 'btree' and classes.reltuples >= 0 and widths.known = widths.columns
            then (
                -- An entry: a pointer of 4, a header of 8, and what it holds, in steps of 8.
                (classes.reltuples * (12 + 8 * ceil(widths.width / 8.0)) / 0.9)
                + 2 * current_setting('block_size')::integer
            )::double precision
    end as expected
from pg_namespace as spaces
inner join pg_class as classes on classes.relnamespace = spaces.oid
inner join pg_am as methods on methods.oid = classes.relam
inner join pg_index as indexes on indexes.indexrelid = classes.oid
cross join lateral (
    select
        count(*) as columns,
        count(stats.avg_width) as known,
        sum(stats.avg_width) as width
    from unnest(indexes.indkey) as place (number)
    left join pg_attribute as attributes
        on
            attributes.attrelid = indexes.indrelid
            and attributes.attnum = place.number
            and place.number > 0
    left join pg_class as tables on tables.oid = indexes.indrelid
    left join pg_stats as stats
        on
            stats.schemaname = spaces.nspname
            and stats.tablename = tables.relname
            and stats.attname = attributes.attname
) as widths
where spaces.nspname = $1::text and classes.relkind = 'i'
order by classes.relname;
