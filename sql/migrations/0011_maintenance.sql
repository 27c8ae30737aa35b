-- 0011_maintenance: what workers do for the tables, who does it now, and what came of it.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs that know version 10 only go on tidying up each for
-- itself, as they always did; what both do at once does no harm.
--
-- One row a task. Set due_at to now() to have one done at once, or to 'infinity' to have it
-- left alone.
create table :"schema".maintenance (
    task text not null,
    due_at timestamptz not null default clock_timestamp(),
    -- Who does it now. The row of a worker that died goes, and with it this.
    worker bigint,
    began_at timestamptz,
    -- The last time that it came to an end:
    ended_at timestamptz,
    seconds double precision,
    -- how many rows were removed, or things mended, then and in all,
    done bigint not null default 0,
    done_in_all bigint not null default 0,
    -- what was seen that somebody should know,
    report text,
    -- and why it could not be done.
    problem text,
    constraint maintenance_pkey primary key (task),
    constraint maintenance_worker_fkey foreign key (worker)
    references :"schema".workers (id) on delete set null
);
