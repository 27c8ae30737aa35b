-- record_statistics: add what a worker counted.
--
-- Run by every worker about once a second while it works. The commit is not waited for.
--
-- $1 widths integer[]   (seconds; everything is added to a span of each)
-- $2 queues text[]   $3 names text[]   $4 succeeded bigint[]   $5 failed bigint[]
-- $6 retried bigint[]   $7 cancelled bigint[]   $8 waits text[]   $9 runs text[]
-- (same length, a queue and a name each; waits and runs are array literals of 72 integers)
with setting as materialized (
    select set_config('synchronous_commit', 'off', true) as done
),

news as materialized (
    select
        told.queue,
        told.name,
        told.succeeded,
        told.failed,
        told.retried,
        told.cancelled,
        told.waits::integer[] as waits,
        told.runs::integer[] as runs
    from unnest(
        $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::text[], $9::text[]
    ) as told (queue, name, succeeded, failed, retried, cancelled, waits, runs), setting
)

insert into :"schema".statistics as known (
    width, since, queue, name, succeeded, failed, retried, cancelled, waits, runs
)
select
    span.width,
    to_timestamp(
        floor(extract(epoch from statement_timestamp()) / span.width) * span.width
    ) as since,
    news.queue,
    news.name,
    news.succeeded,
    news.failed,
    news.retried,
    news.cancelled,
    news.waits,
    news.runs
from news
cross join unnest($1::integer[]) as span (width)
order by span.width, news.queue, news.name
on conflict on constraint statistics_pkey do update
set
    succeeded = known.succeeded + excluded.succeeded,
    failed = known.failed + excluded.failed,
    retried = known.retried + excluded.retried,
    cancelled = known.cancelled + excluded.cancelled,
    waits = array(
        select pair.before + pair.more
        from unnest(known.waits, excluded.waits) with ordinality as pair (before, more, place)
        order by pair.place
    ),
    runs = array(
        select pair.before + pair.more
        from unnest(known.runs, excluded.runs) with ordinality as pair (before, more, place)
        order by pair.place
    );
