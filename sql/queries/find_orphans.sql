-- find_orphans: the workers that running jobs name, but that are not registered.
--
-- Run by a worker now and then, in one transaction with free_jobs, because no worker leaves
-- such jobs behind: somebody has edited a table by hand. It reads all running jobs.
--
-- Returns the ids in locked_by. (A worker's row and its jobs change in one transaction, so
-- that no statement can see the one without the other.)
select distinct jobs.locked_by as id
from :"schema".jobs
where
    jobs.state = 'running'
    and not exists (select from :"schema".workers where workers.id = jobs.locked_by);
