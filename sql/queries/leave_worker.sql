-- leave_worker: note that a worker's process ends although jobs still run in it.
--
-- Run by a worker that cannot give its jobs back before its end. They stay with it until its
-- process is seen to be gone, or its lease, which begins anew, runs out; then free_jobs counts
-- no attempt.
--
-- $1 worker bigint
update :"schema".workers
set
    leaving = true, -- since: 4
    heartbeat_at = clock_timestamp()
where workers.id = $1;
