-- record_statistics: add what a worker counted.
--
-- Run by every worker about once a second while it works. The commit is not waited for.
--
-- $1 widths integer[]   (seconds; everything is added to a span of each)
-- $2 queues text[]   $3 names text[]   $4 succeeded bigint[]   $5 failed bigint[]
-- $6 retried bigint[]   $7 cancelled bigint[]   $8 waits text[]   $9 runs text[]
-- $10 rescued bigint[]   $11 waited double precision[]   $12 ran double precision[]
-- (same length, a queue and a name each; waits and runs are array literals of 72 integers,
-- waited and ran the seconds of all that is in these)
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
        told.runs::integer[] as runs,
        told.rescued,
        told.waited,
        told.ran
    from unnest(
        $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::text[], $9::text[], $10::bigint[], $11::double precision[], $12::double precision[]
    ) as told (
        queue, name, succeeded, failed, retried, cancelled, waits, runs, rescued, waited, ran
    ), setting
)

, totalled as ( -- since: 14
    insert into :"schema".totals as known ( -- since: 14
        queue, name, succeeded, failed, retried, cancelled, rescued, waits, runs, waited, ran -- since: 14
    ) -- since: 14
    select -- since: 14
        news.queue, -- since: 14
        news.name, -- since: 14
        news.succeeded, -- since: 14
        news.failed, -- since: 14
        news.retried, -- since: 14
        news.cancelled, -- since: 14
        news.rescued, -- since: 14
        news.waits, -- since: 14
        news.runs, -- since: 14
        news.waited, -- since: 14
        news.ran -- since: 14
    from news -- since: 14
    order by news.queue, news.name -- since: 14
    on conflict on constraint totals_pkey do update -- since: 14
    set -- since: 14
        succeeded = known.succeeded + excluded.succeeded, -- since: 14
        failed = known.failed + excluded.failed, -- since: 14
        retried = known.retried + excluded.retried, -- since: 14
        cancelled = known.cancelled + excluded.cancelled, -- since: 14
        rescued = known.rescued + excluded.rescued, -- since: 14
        waits = array( -- since: 14
            select pair.before + pair.more -- since: 14
            from unnest(known.waits, excluded.waits) with ordinality as pair (before, more, place) -- since: 14
            order by pair.place -- since: 14
        ), -- since: 14
        runs = array( -- since: 14
            select pair.before + pair.more -- since: 14
            from unnest(known.runs, excluded.runs) with ordinality as pair (before, more, place) -- since: 14
            order by pair.place -- since: 14
        ), -- since: 14
        waited = known.waited + excluded.waited, -- since: 14
        ran = known.ran + excluded.ran -- since: 14
) -- since: 14

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
where news.succeeded + news.failed + news.retried + news.cancelled > 0
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
