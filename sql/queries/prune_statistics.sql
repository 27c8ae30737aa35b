-- prune_statistics: remove spans that are too old to be asked for.
--
-- Run by every worker now and then; what one removes, another does not find.
--
-- $1 widths integer[]   $2 seconds integer[]   (same length: how long spans of a width stay)
with kept as (
    select
        each.width,
        statement_timestamp() - each.seconds * interval '1 second' as since
    from unnest($1::integer[], $2::integer[]) as each (width, seconds)
)

delete from :"schema".statistics
using kept
where statistics.width = kept.width and statistics.since < kept.since;
