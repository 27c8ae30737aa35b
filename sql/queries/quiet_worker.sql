-- quiet_worker: let a worker claim nothing more. What it runs goes on.
--
-- Run when a user says so.
--
-- $1 worker bigint   $2 channel text
--
-- Returns whether the worker hears wishes and whether this changed anything, or no row if there
-- is no such worker.
with changed as (
    update :"schema".workers
    set quiet_at = clock_timestamp()
    where workers.id = $1 and workers.version is not null and workers.quiet_at is null
    returning workers.id
),

news as (
    select pg_notify($2, json_build_object('workers', array[changed.id])::text) as sent
    from changed
)

select
    workers.version is not null as hears,
    (select count(news.sent) = 1 from news) as changed
from :"schema".workers
where workers.id = $1;
