-- finish_by_delete: remove jobs that ended and are not to be kept.
--
-- Run by every worker for each batch of jobs that ended. Durable.
--
-- $1 worker bigint   $2 ids bigint[]   $3 attempts smallint[]   (same length)
--
-- Returns the ids it removed. A row that was rescued meanwhile has another worker or a
-- higher attempt and is left alone: the late report of a dead attempt must not win.
-- (`coalesce` hides from the planner how few rows a worker seems to hold: by statistics
-- from before the claims it would read the whole table to find that "one" row.)
delete from :"schema".jobs
using unnest($2::bigint[], $3::smallint[]) as report (id, attempt)
where
    jobs.id = report.id
    and jobs.attempt = report.attempt
    and coalesce(jobs.locked_by = $1::bigint, false)
returning jobs.id;
