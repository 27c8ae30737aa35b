-- record_declarations: say which schedules the code of a worker declares.
--
-- Run by every worker at its start and twice a minute, as the first of three statements of a
-- transaction: then declare_schedules and retire_schedules.
--
-- $1 worker bigint   $2 names text[]   $3 definitions text[]   (same length)
-- $4 patience text   (how long the three wait for another's open transaction)
--
-- Returns the worker, or nothing if it was declared dead: then it declares nothing, and must
-- retire nothing. What a worker declares goes with its row.
with setting as materialized (
    select set_config('lock_timeout', $4::text, true) as patience
),

me as materialized (
    select workers.id
    from :"schema".workers
    where
        workers.id = $1
        and (select setting.patience is not null from setting)
    for key share
),

told as materialized (
    select said.name, said.definition
    from unnest($2::text[], $3::text[]) as said (name, definition)
),

dropped as (
    delete from :"schema".declarations
    where
        declarations.worker = $1
        and not exists (select from told where told.name = declarations.schedule)
),

added as (
    insert into :"schema".declarations (worker, schedule, definition)
    select me.id, told.name, told.definition
    from me, told
    where not exists (
        select from :"schema".declarations
        where
            declarations.worker = $1
            and declarations.schedule = told.name
            and declarations.definition = told.definition
    )
    on conflict (worker, schedule) do update set definition = excluded.definition
)

select me.id from me;
