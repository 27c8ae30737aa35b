-- lock_schedules: take schedules that are as they were looked at, before advance_schedules.
--
-- Run by a worker at a tick, as the first statement of a transaction.
--
-- $1 names text[]   $2 after_at timestamptz[]   (same length)
--
-- Returns those it locked, with last_at as a text and last_result, for skip_runs. The others were
-- advanced by another worker, or are locked.
select
    schedules.name,
    to_json(schedules.last_at) #>> '{}' as last_at,  -- in ISO 8601, whatever the DateStyle
    schedules.last_result
from unnest($1::text[], $2::timestamptz[]) as seen (name, after_at)
inner join :"schema".schedules on seen.name = schedules.name
where
    schedules.after_at = seen.after_at
    and schedules.enabled
    and schedules.gave_up_at is null
    and schedules.retired_at is null
order by schedules.name
for update of schedules skip locked;
