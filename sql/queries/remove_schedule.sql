-- remove_schedule: remove a schedule; runs that it has made stay.
--
-- Run when a user asks for it.
--
-- $1 name text
--
-- Returns the name, or nothing if there is no such schedule.
delete from :"schema".schedules
where schedules.name = $1
returning schedules.name;
