-- find_completion: what became of a success whose commit was not answered.
--
-- Run by a worker when the connection broke during the commit of a job's own transaction, or
-- when a job ends that wrote its success into a transaction of the user.
--
-- $1 worker bigint   $2 id bigint   $3 attempt smallint
--
-- Returns whether the worker holds the job at that attempt, and whether it succeeded at that
-- attempt; no row if the job is gone. The lock waits for a transaction that has not ended.
select
    jobs.attempt = $3::smallint and coalesce(jobs.locked_by = $1::bigint, false) as held,
    jobs.attempt = $3::smallint and jobs.state = 'succeeded' as succeeded
from :"schema".jobs
where jobs.id = $2::bigint
for share;
