-- plan_schedule: say when a schedule that was just stored has its first tick.
--
-- Run by `later` after put_schedule; if it does not come to that, a worker does.
--
-- $1 name text   $2 after_at timestamptz   $3 next_at timestamptz
update :"schema".schedules
set next_at = $3
where
    schedules.name = $1
    and schedules.after_at = $2
    and schedules.next_at is null
    and schedules.enabled;
