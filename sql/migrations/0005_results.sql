-- 0005_results: results, progress, and rows that are kept for a time.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. The new columns are null for a plain job and cost it
-- nothing; both indexes hold only jobs that ended and were kept. They are built under a lock
-- that writers wait for: about a second for a million kept rows.
--
-- Programs from before go on working. A worker of before removes a job that succeeded although
-- it was to keep its result: whoever waits for it is told that nothing is stored of it.
alter table :"schema".jobs
-- How long the row stays once the job has ended, however it ended; null: until somebody, or
-- the `retain` of a worker group, removes it.
add column retain interval,
-- What the job returned, if it was asked to keep that.
add column result jsonb,
-- How far the job is: done (0 to 1), message.
add column progress jsonb;
-- The column extra has two more keys:
--   retain: the seconds of the column retain; the result is kept
--   watched: somebody wants to hear what becomes of the job

-- What the pruning reads. (In UTC, because an index needs arithmetic that no time zone changes.)
create index jobs_retained on :"schema".jobs ((timezone('UTC', finished_at) + retain))
where finished_at is not null and retain is not null;
create index jobs_ended on :"schema".jobs (queue, finished_at)
where finished_at is not null and retain is null;
