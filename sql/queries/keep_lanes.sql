-- keep_lanes: let jobs hold their lanes while they wait for a retry.
--
-- Run after finish_by_update in the same transaction, for the retries of jobs whose order is
-- strict.
--
-- $1 ids bigint[]
-- (`coalesce` keeps the planner from the index of scheduled jobs: by statistics of the empty table
-- it would read all of it.)
update :"schema".jobs
set lane_kept = true
where jobs.id = any($1::bigint[]) and coalesce(jobs.state = 'scheduled', false);
