-- has_run: whether a run of a schedule has not ended.
--
-- Run after lock_schedule in the same transaction, with a snapshot of its own.
--
-- $1 schedule text
select exists (
    select from :"schema".jobs
    where jobs.schedule = $1 and jobs.state not in ('succeeded', 'failed', 'cancelled')
) as found;
