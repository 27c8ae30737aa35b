-- read_running: what runs now.
--
-- Run by the dashboard about once a second while somebody looks at it, and by `asyncjobs top`.
--
-- $1 each integer   (so many jobs of a worker)
--
-- Returns jobs that run, those of each worker that began first, and as running how many
-- the worker has in all.
select
    mine.id,
    mine.name,
    mine.queue,
    mine.attempt,
    workers.id as worker,
    mine.running,
    extract(epoch from statement_timestamp() - mine.attempted_at)::double precision as seconds
from :"schema".workers
cross join lateral (
    select
        jobs.id,
        jobs.name,
        jobs.queue,
        jobs.attempt,
        jobs.attempted_at,
        count(*) over () as running
    from :"schema".jobs
    where jobs.state = 'running' and jobs.locked_by = workers.id
    order by jobs.attempted_at, jobs.id
    limit $1::integer
) as mine
order by workers.id, mine.attempted_at, mine.id;
