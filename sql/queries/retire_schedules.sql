-- retire_schedules: stop schedules that no living worker's code declares any more.
--
-- Run by every worker at its start and twice a minute, after declare_schedules.
--
-- $1 queues text[]   (of this worker's application: another one that shares the schema has
--     others)
--
-- Returns the names. While an old version's worker still runs, what it declares stays.
update :"schema".schedules
set retired_at = clock_timestamp()
where
    schedules.declared is not null
    and schedules.retired_at is null
    and schedules.queue = any($1::text[])
    and not exists (
        select from :"schema".declarations
        where declarations.schedule = schedules.name
    )
returning schedules.name;
