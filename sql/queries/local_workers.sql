-- local_workers: the workers that registered from one machine, to see which are gone.
--
-- Run by every worker once a heartbeat.
--
-- $1 host_id text
select
    workers.id,
    workers.pid,
    workers.process_started
from :"schema".workers
where workers.host_id = $1;
