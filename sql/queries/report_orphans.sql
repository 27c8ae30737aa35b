-- report_orphans: say of schedules whose tick passed long ago that nobody knows their job.
--
-- Run by every worker at its start and twice a minute.
--
-- $1 jobs text[]   (the names that this worker's code knows)   $2 queues text[]   (of its
-- application: another one that shares the schema has others)
--
-- Returns name and job of those that are news. Nothing is run for them, and nothing lost:
-- when a worker comes that knows the job, their catch_up decides.
update :"schema".schedules
set problem = format('no worker knows the job %s', schedules.job)
where
    schedules.enabled
    and schedules.gave_up_at is null
    and schedules.retired_at is null
    and not schedules.job = any($1::text[])
    and schedules.queue = any($2::text[])
    and schedules.problem is null
    and coalesce(schedules.next_at, schedules.after_at)
    < statement_timestamp() - interval '1 minute'
returning schedules.name, schedules.job;
