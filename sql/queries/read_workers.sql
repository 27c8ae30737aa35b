-- read_workers: the workers, and how long they have been silent.
--
-- Run by the dashboard about once a second while somebody looks at it, and by `asyncjobs top`.
select
    workers.id,
    workers.name,
    workers.worker_group as "group",
    workers.queues,
    workers.host,
    workers.pid,
    workers.started_at,
    extract(epoch from clock_timestamp() - workers.heartbeat_at)::double precision as silent,
    extract(epoch from workers.lease)::double precision as lease
    , workers.version, workers.concurrency -- since: 12
    , workers.quiet_at, workers.stop_at, workers.stopping_at -- since: 12
    , coalesce(workers.quiet_at > workers.heartbeat_at, false) as quiet_unheard -- since: 12
from :"schema".workers
order by workers.worker_group, workers.name, workers.id;
