-- get_schedules: schedules as they are stored, by name.
--
-- Run when somebody asks: by `later.schedules`, a command, the dashboard.
--
-- $1 names text[]   (null for all)
select
    schedules.name,
    schedules.job,
    schedules.queue,
    schedules.priority,
    schedules.args::text as args,
    schedules.extras::text as extras,
    schedules.cron,
    schedules.every,
    schedules.starting_at,
    schedules.timezone,
    schedules.catch_up,
    schedules.overlap,
    schedules.enabled,
    schedules.declared,
    schedules.after_at,
    schedules.next_at,
    schedules.last_at,
    schedules.last_result,
    schedules.finished_at,
    schedules.skipped_at,
    schedules.failures,
    schedules.gave_up_at,
    schedules.retired_at,
    schedules.problem,
    schedules.created_at
from :"schema".schedules
where $1::text[] is null or schedules.name = any($1::text[])
order by schedules.name;
