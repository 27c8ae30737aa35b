-- heartbeat: renew the lease of a worker.
--
-- Run by every worker every few seconds.
--
-- $1 worker bigint
--
-- Returns one row with the jobs of the worker that are to be cancelled, the time (seconds since
-- 1970) and what is wished of the worker itself, or no row if it was declared dead. The commit
-- is not waited for.
with setting as materialized (
    select set_config('synchronous_commit', 'off', true) as done
)

update :"schema".workers
set heartbeat_at = clock_timestamp()
from setting
where workers.id = $1
returning
    array(
        select jobs.id
        from :"schema".jobs
        where jobs.state = 'running' and jobs.locked_by = $1 and jobs.interrupt
    ) as cancel,
    extract(epoch from workers.heartbeat_at)::double precision as now
    , workers.quiet_at is not null as quiet, workers.stop_at is not null as stop -- since: 12
;
