-- join_statistics: make a wide span of narrow ones that are over, for whoever looks at many.
--
-- Run by every worker every few minutes; twice a day there is something to do.
--
-- $1 width integer   $2 wide integer   (seconds: a multiple of width)
-- $3 kept integer    (seconds for which spans are kept)
--
-- Joins the oldest wide span that is not yet, and returns, as joined, how many rows that made:
-- 0 if there is none. It waits ten minutes, so that nothing is counted in the narrow spans any
-- more. If two join the same, the second does nothing.
with oldest as materialized (
    select to_timestamp(floor(extract(epoch from min(narrow.since)) / $2::integer) * $2::integer) as since
    from :"schema".statistics as narrow
    where
        narrow.width = $1::integer
        and narrow.since >= greatest(
            to_timestamp(
                ceil(extract(epoch from statement_timestamp() - $3::integer * interval '1 second') / $2::integer)
                * $2::integer
            ),
            (
                select max(wide.since) + $2::integer * interval '1 second'
                from :"schema".statistics as wide
                where wide.width = $2::integer
            )
        )
        and narrow.since < to_timestamp(
            floor(extract(epoch from statement_timestamp() - interval '10 minutes') / $2::integer)
            * $2::integer
        )
),

narrow as materialized (
    select statistics.*
    from :"schema".statistics
    where
        statistics.width = $1::integer
        and statistics.since >= (select oldest.since from oldest)
        and statistics.since < (select oldest.since + $2::integer * interval '1 second' from oldest)
),

counts as (
    select
        narrow.queue,
        narrow.name,
        sum(narrow.succeeded) as succeeded,
        sum(narrow.failed) as failed,
        sum(narrow.retried) as retried,
        sum(narrow.cancelled) as cancelled
    from narrow
    group by narrow.queue, narrow.name
),

histograms as (
    select
        classes.queue,
        classes.name,
        array_agg(classes.waits order by classes.place) as waits,
        array_agg(classes.runs order by classes.place) as runs
    from (
        select
            narrow.queue,
            narrow.name,
            each.place,
            -- As much as the type holds is enough for a percentile.
            least(sum(each.waits), 2147483647)::integer as waits,
            least(sum(each.runs), 2147483647)::integer as runs
        from narrow
        cross join lateral unnest(narrow.waits, narrow.runs) with ordinality as each (waits, runs, place)
        group by narrow.queue, narrow.name, each.place
    ) as classes
    group by classes.queue, classes.name
),

joined as (
    insert into :"schema".statistics (
        width, since, queue, name, succeeded, failed, retried, cancelled, waits, runs
    )
    select
        $2::integer,
        oldest.since,
        counts.queue,
        counts.name,
        counts.succeeded,
        counts.failed,
        counts.retried,
        counts.cancelled,
        coalesce(histograms.waits, '{}'),
        coalesce(histograms.runs, '{}')
    from oldest
    cross join counts
    left join histograms on histograms.queue = counts.queue and histograms.name = counts.name
    order by counts.queue, counts.name
    on conflict on constraint statistics_pkey do nothing
    returning statistics.name
)

select count(*) as joined
from joined;
