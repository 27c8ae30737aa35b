-- switch_schedule: switch a schedule on or off. One that gave up starts again when switched on.
--
-- Run when a user asks for it.
--
-- $1 name text   $2 enabled boolean
--
-- Returns the name, or nothing if there is no such schedule.
update :"schema".schedules
set
    enabled = $2,
    gave_up_at = case when not $2 then schedules.gave_up_at end,
    failures = case when $2 then 0 else schedules.failures end
where schedules.name = $1
returning schedules.name;
