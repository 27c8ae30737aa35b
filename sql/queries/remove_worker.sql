-- remove_worker: remove the row of a worker that ends.
--
-- Run by every worker as the last thing it does, in one transaction with return_jobs: this
-- waits for a claim of the worker that may still be under way.
--
-- $1 worker bigint
delete from :"schema".workers
where workers.id = $1
returning workers.id;
