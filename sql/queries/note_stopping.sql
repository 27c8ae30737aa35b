-- note_stopping: say that a worker ends, and only waits for what it runs.
--
-- Run once by a worker that ends while jobs run.
--
-- $1 worker bigint
update :"schema".workers
set stopping_at = clock_timestamp()
where workers.id = $1 and workers.stopping_at is null;
