-- lock_schedules: take schedules that are as they were looked at, before advance_schedules.
--
-- Run by a worker at a tick, as the first statement of a transaction.
--
-- $1 names text[]   $2 after_at timestamptz[]   (same length)
--
-- Returns the names of those it locked. The others were advanced by another worker, or are
-- locked.
select schedules.name
from unnest($1::text[], $2::timestamptz[]) as seen (name, after_at)
inner join :"schema".schedules on seen.name = schedules.name
where
    schedules.after_at = seen.after_at
    and schedules.enabled
    and schedules.gave_up_at is null
    and schedules.retired_at is null
order by schedules.name
for update of schedules skip locked;
