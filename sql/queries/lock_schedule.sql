-- lock_schedule: take a schedule for a run that somebody asked for.
--
-- Run by `later.schedules.run_now`, in a transaction with what stores the run: two cannot
-- both find that there is no other.
--
-- $1 name text
--
-- Returns one row with its job, queue, priority, args, extras and overlap, or none.
select
    schedules.job,
    schedules.queue,
    schedules.priority,
    schedules.args::text as args,
    schedules.extras::text as extras,
    schedules.overlap
from :"schema".schedules
where schedules.name = $1
for update of schedules;
