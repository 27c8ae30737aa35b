-- declare_schedules: store the schedules that code declares, where that is news.
--
-- Run by every worker at its start and twice a minute, after record_declarations.
--
-- $1 schedules text   (a JSON list of objects: name, definition, job, queue, priority, args
--     and extras (JSON as text), cron, timezone, every (seconds), starting_at, catch_up, overlap)
--
-- Returns the names of those it stored or changed. Of two versions of the code that run at
-- the same time, the one whose definition came later counts, however often workers of the
-- other start; when none of its workers lives any more, as after a rollback, the other's
-- counts again. A definition does not switch on what was switched off, and only another one
-- starts what gave up.
with told as materialized (
    select said.*
    from jsonb_to_recordset($1::text::jsonb) as said (
        name text, definition text, job text, queue text, priority smallint,
        args text, extras text, cron text, timezone text, every double precision,
        starting_at timestamptz, catch_up text, overlap text
    )
),

known as materialized (
    select
        told.*,
        schedules.declared as counts_now,
        case
            when told.definition = any(schedules.definitions) then schedules.definitions
            else schedules.definitions || told.definition
        end as definitions
    from told
    inner join :"schema".schedules on told.name = schedules.name
    where
        schedules.declared is distinct from told.definition
        or schedules.retired_at is not null
),

newest as materialized (
    select known.*
    from known
    where array_position(known.definitions, known.definition) >= all(
        select array_position(known.definitions, declarations.definition)
        from :"schema".declarations
        where
            declarations.schedule = known.name
            and declarations.definition = any(known.definitions)
    )
),

changed as (
    update :"schema".schedules
    set
        job = newest.job,
        queue = newest.queue,
        priority = newest.priority,
        args = newest.args::jsonb,
        extras = newest.extras::jsonb,
        cron = newest.cron,
        timezone = newest.timezone,
        every = newest.every * interval '1 second',
        starting_at = case
            when
                newest.starting_at is null
                and schedules.every = newest.every * interval '1 second'
                then schedules.starting_at
            else newest.starting_at
        end,
        catch_up = newest.catch_up,
        overlap = newest.overlap,
        declared = newest.definition,
        -- The last twenty: an older one counts as new again.
        definitions = newest.definitions[greatest(cardinality(newest.definitions) - 19, 1):],
        retired_at = null,
        gave_up_at = case
            when newest.counts_now = newest.definition then schedules.gave_up_at
        end,
        failures = case
            when newest.counts_now = newest.definition then schedules.failures else 0
        end
    from newest
    where schedules.name = newest.name
    returning schedules.name
),

added as (
    insert into :"schema".schedules (
        name, job, queue, priority, args, extras, cron, timezone, every, starting_at,
        catch_up, overlap, declared, definitions
    )
    select
        told.name,
        told.job,
        told.queue,
        told.priority,
        told.args::jsonb,
        told.extras::jsonb,
        told.cron,
        told.timezone,
        told.every * interval '1 second',
        told.starting_at,
        told.catch_up,
        told.overlap,
        told.definition,
        array[told.definition]
    from told
    where not exists (select from :"schema".schedules where schedules.name = told.name)
    order by told.name
    on conflict (name) do nothing
    returning name
)

select changed.name from changed
union all
select added.name from added;
