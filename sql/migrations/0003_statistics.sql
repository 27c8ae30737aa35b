-- 0003_statistics: what workers did, counted, since most jobs leave no row behind.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs that know version 2 only count nothing.
--
-- One row for a span of time, a queue and a job name. Each end of an attempt is counted in
-- spans of several widths at once, so that an hour, a day and a week are a few rows each.
-- How long jobs waited and ran is kept as histograms: how often a duration fell into each of
-- 72 classes, of which class n goes up to 2 ^ ((n - 40) / 2) seconds.
create table :"schema".statistics (
    width integer not null,
    -- The begin of the span; its width is in seconds.
    since timestamptz not null,
    queue text not null,
    name text not null,
    succeeded bigint not null default 0,
    failed bigint not null default 0,
    retried bigint not null default 0,
    cancelled bigint not null default 0,
    waits integer[] not null,
    runs integer[] not null,
    constraint statistics_pkey primary key (width, since, queue, name)
);

-- Rows are updated about once a second while work goes on.
alter table :"schema".statistics set (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 5000
);
