-- 0009_schedules: recurring jobs.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs that know version 8 only go on working: they fire
-- no schedule, and run what others fire as any job. How such a run ended is then not noted
-- in its schedule.
alter table :"schema".jobs
-- The schedule whose run this is, and the tick that it is for; null for all other jobs, and
-- the tick also for a run that somebody asked for.
add column schedule text,
add column tick timestamptz;

-- No tick has two runs. Other jobs are not in it.
create unique index jobs_ticks on :"schema".jobs (schedule, tick)
where schedule is not null;
-- Whether a schedule has a run that has not ended, however many ended ones are kept.
create index jobs_runs on :"schema".jobs (schedule)
where schedule is not null and state not in ('succeeded', 'failed', 'cancelled');

-- One row a schedule; read it, switch it (enabled) and change it (cron, timezone, every,
-- starting_at, ...) as you like: workers hear of it at once.
create table :"schema".schedules (
    name text not null,
    -- What runs.
    job text not null,
    queue text not null default 'default',
    priority smallint not null default 50,
    args jsonb not null default '{}',
    -- What its jobs ask for that few do.
    extras jsonb,
    -- When: cron in a time zone, or every so often from starting_at on.
    cron text,
    timezone text not null default 'UTC',
    every interval,
    starting_at timestamptz,
    -- Ticks that passed while nothing ran: skip them, run the last once, or all.
    catch_up text not null default 'once',
    -- While a run has not ended: skip the next, or allow it.
    overlap text not null default 'skip',
    enabled boolean not null default true,
    -- Ticks later than after_at are still to come; next_at is the first of them, or null
    -- while none is planned, as when the schedule is switched off.
    after_at timestamptz not null default clock_timestamp(),
    next_at timestamptz,
    last_at timestamptz,
    -- succeeded or failed; null if no run has ended since last_at.
    last_result text,
    finished_at timestamptz,
    skipped_at timestamptz,
    -- Failed attempts of runs that failed, since one succeeded.
    failures integer not null default 0,
    -- When a run had used up its attempts: nothing runs any more. Set it to null, or
    -- schedule it again, to go on.
    gave_up_at timestamptz,
    -- When no worker's code declared the schedule any more.
    retired_at timestamptz,
    -- Why no worker can plan or run it.
    problem text,
    -- Which definition in the code it follows, of all that it had, the oldest first; null
    -- if it was made by a call of later.
    declared text,
    definitions text[] not null default '{}',
    created_at timestamptz not null default clock_timestamp(),
    constraint schedules_pkey primary key (name),
    constraint schedules_when_check check ((cron is null) <> (every is null)),
    constraint schedules_every_check check (every >= interval '1 second'),
    constraint schedules_catch_up_check check (catch_up in ('skip', 'once', 'all')),
    constraint schedules_overlap_check check (overlap in ('skip', 'allow')),
    constraint schedules_both_check check (catch_up <> 'all' or overlap = 'allow')
);

alter table :"schema".schedules set (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 1000
);

-- Which schedules the code of which living worker declares.
create table :"schema".declarations (
    worker bigint not null,
    schedule text not null,
    definition text not null,
    constraint declarations_pkey primary key (worker, schedule),
    constraint declarations_worker_fkey foreign key (worker)
    references :"schema".workers (id) on delete cascade
);

create index declarations_schedule on :"schema".declarations (schedule);

-- Whoever changes a schedule, in code or in psql: its next tick is planned anew, by the
-- first worker that hears of it. What passed while it did not run is not made up for.
create function :"schema".keep_schedule() returns trigger
language plpgsql as $$
declare
    channel text := 'asyncjobs_' || tg_table_schema;
begin
    if new.every is not null and new.starting_at is null then
        -- Not later than after_at: the first tick is the next one.
        new.starting_at := date_trunc(
            'milliseconds',
            case when tg_op = 'INSERT' then new.after_at else clock_timestamp() end
        );
    end if;
    if not new.enabled or new.gave_up_at is not null or new.retired_at is not null then
        new.next_at := null;
        return new;
    end if;
    if tg_op = 'UPDATE' then
        if old.enabled and old.gave_up_at is null and old.retired_at is null
            and row(old.cron, old.timezone, old.every, old.starting_at)
            is not distinct from row(new.cron, new.timezone, new.every, new.starting_at)
        then
            return new;
        end if;
        new.after_at := clock_timestamp();
        new.problem := null;
    end if;
    new.next_at := null;
    if octet_length(channel) > 63 then
        channel := 'asyncjobs_'
            || left(encode(sha256(convert_to(tg_table_schema, 'UTF8')), 'hex'), 32);
    end if;
    begin
        perform pg_notify(channel, '{"schedules": true}');
    exception when undefined_function or feature_not_supported then
        null;  -- a server without it: workers poll
    end;
    return new;
end
$$;

create trigger keep_schedule before insert or update on :"schema".schedules
for each row execute function :"schema".keep_schedule();
