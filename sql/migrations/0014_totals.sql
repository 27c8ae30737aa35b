-- 0014_totals: what workers did since they count, never taken back.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs that know version 13 only add nothing to it.
--
-- One row for each queue and job name. The table of statistics forgets after eight days; what
-- is read from here by Prometheus must not become less. Histograms are as in statistics.
create table :"schema".totals (
    queue text not null,
    name text not null,
    -- When the row was made. A row that somebody removed begins anew, and this tells.
    since timestamptz not null default clock_timestamp(),
    succeeded bigint not null default 0,
    failed bigint not null default 0,
    retried bigint not null default 0,
    cancelled bigint not null default 0,
    rescued bigint not null default 0,
    waits bigint[] not null,
    runs bigint[] not null,
    -- Seconds, of all that was measured, together.
    waited double precision not null default 0,
    ran double precision not null default 0,
    constraint totals_pkey primary key (queue, name)
);

-- Rows are updated about once a second while work goes on.
alter table :"schema".totals set (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 1000
);
