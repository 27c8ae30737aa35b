-- report_orphans: say of schedules whose tick passed long ago that nobody knows their job.
--
-- Run by every worker at its start and twice a minute.
--
-- $1 jobs text[]   (the names that this worker's code knows)   $2 queues text[]   (of its
-- application: another one that shares the schema has others)
--
-- Returns name and job of those that are news. Nothing is run for them, and nothing lost:
-- when a worker comes that knows the job, their catch_up decides. One that somebody's open
-- transaction has locked is told of another time.
update :"schema".schedules
set problem = format('no worker knows the job %s', schedules.job)
where
    schedules.name = any(array(
        select one.name
        from :"schema".schedules as one
        where
            one.enabled
            and one.gave_up_at is null
            and one.retired_at is null
            and not one.job = any($1::text[])
            and one.queue = any($2::text[])
            and one.problem is null
            and coalesce(one.next_at, one.after_at) < statement_timestamp() - interval '1 minute'
        for update of one skip locked
    ))
returning schedules.name, schedules.job;
