-- examine_local_workers: the workers that registered from one machine or container, and how long
-- each has been silent.
--
-- Run by `asyncjobs health`, every few seconds for each container, perhaps.
--
-- $1 host_id text
select
    workers.id,
    workers.name,
    workers.worker_group as "group",
    workers.pid,
    workers.process_started,
    extract(epoch from clock_timestamp() - workers.heartbeat_at)::double precision as silent,
    extract(epoch from workers.lease)::double precision as lease
from :"schema".workers
where workers.host_id = $1
order by workers.id;
