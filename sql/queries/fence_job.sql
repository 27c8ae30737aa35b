-- fence_job: hold the row of a job whose success is about to be written into a transaction.
--
-- Run in a job's own transaction, before its end, followed by finish_by_delete or
-- finish_by_update.
--
-- $1 worker bigint   $2 id bigint   $3 attempt smallint
--
-- Returns whether the job's worker was told to cancel it; no row if another worker has it, or
-- nobody. The row stays locked until the commit, and rescues wait for it: a client that is cut
-- off before it can commit must not keep it for as long as the server takes to notice.
with patience as materialized (
    select set_config('idle_in_transaction_session_timeout', '10s', true) as set
)

select jobs.interrupt
from :"schema".jobs, patience
where
    jobs.id = $2::bigint
    and jobs.attempt = $3::smallint
    and coalesce(jobs.locked_by = $1::bigint, false)
for update of jobs;
