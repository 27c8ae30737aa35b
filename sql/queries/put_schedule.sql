-- put_schedule: store a schedule, or put it in place of the one of its name.
--
-- Run by `later` for a call with cron or every.
--
-- $1 name text   $2 job text   $3 queue text   $4 priority smallint   $5 args text (JSON)
-- $6 extras text (JSON, or null)   $7 cron text   $8 timezone text   $9 every interval
-- $10 starting_at timestamptz (null: now, or as before)   $11 catch_up text   $12 overlap text
--
-- One that gave up or retired starts again; one that was switched off stays so. If it recurs
-- as before, its ticks go on as before, unless the moments that they follow from are such that
-- nothing can be planned.
insert into :"schema".schedules (
    name, job, queue, priority, args, extras, cron, timezone, every, starting_at, catch_up, overlap
)
values ($1, $2, $3, $4, $5::text::jsonb, $6::text::jsonb, $7, $8, $9, $10, $11, $12)
on conflict (name) do update
set
    job = excluded.job,
    queue = excluded.queue,
    priority = excluded.priority,
    args = excluded.args,
    extras = excluded.extras,
    cron = excluded.cron,
    timezone = excluded.timezone,
    every = excluded.every,
    starting_at = case
        when
            $10::timestamptz is null
            and schedules.every = excluded.every
            and schedules.starting_at between '0002-01-01 00:00Z' and '9998-12-31 00:00Z'
            then schedules.starting_at
        else excluded.starting_at
    end,
    catch_up = excluded.catch_up,
    overlap = excluded.overlap,
    after_at = case
        when schedules.after_at between '0002-01-01 00:00Z' and '9998-12-31 00:00Z'
            then schedules.after_at
        else clock_timestamp()
    end,
    next_at = case
        when
            schedules.after_at between '0002-01-01 00:00Z' and '9998-12-31 00:00Z'
            and schedules.next_at between '0002-01-01 00:00Z' and '9998-12-31 00:00Z'
            then schedules.next_at
    end,
    failures = 0,
    gave_up_at = null,
    retired_at = null,
    declared = null,
    definitions = '{}';
