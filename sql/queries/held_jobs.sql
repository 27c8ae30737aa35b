-- held_jobs: the jobs that a worker holds.
--
-- Run by a worker after the database did not answer it, to find claims whose answer was lost.
--
-- $1 worker bigint
select
    jobs.id,
    jobs.attempt
from :"schema".jobs
where jobs.state = 'running' and jobs.locked_by = $1;
