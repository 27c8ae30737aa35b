-- get_schedules: schedules as they are stored, by name.
--
-- Run when somebody asks: by `later.schedules`, a command, the dashboard.
--
-- Moments and spans are told as far as every client knows them.
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
    case
        when schedules.every is not null then least(schedules.every, interval '400000 days')
    end as every,
    case
        when schedules.starting_at is not null
            then greatest(least(schedules.starting_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as starting_at,
    schedules.timezone,
    schedules.catch_up,
    schedules.overlap,
    schedules.enabled,
    schedules.declared,
    greatest(least(schedules.after_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z') as after_at,
    case
        when schedules.next_at is not null
            then greatest(least(schedules.next_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as next_at,
    case
        when schedules.last_at is not null
            then greatest(least(schedules.last_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as last_at,
    schedules.last_result,
    case
        when schedules.finished_at is not null
            then greatest(least(schedules.finished_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as finished_at,
    case
        when schedules.skipped_at is not null
            then greatest(least(schedules.skipped_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as skipped_at,
    schedules.failures,
    case
        when schedules.gave_up_at is not null
            then greatest(least(schedules.gave_up_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as gave_up_at,
    case
        when schedules.retired_at is not null
            then greatest(least(schedules.retired_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as retired_at,
    schedules.problem,
    greatest(least(schedules.created_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z') as created_at
from :"schema".schedules
where $1::text[] is null or schedules.name = any($1::text[])
order by schedules.name;
