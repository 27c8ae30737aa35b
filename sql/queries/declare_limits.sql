-- declare_limits: say how many jobs of a name, or of a queue, may run or start at once.
--
-- Run by a program before it first stores a job under each limit. The latest word counts, also
-- for the jobs that wait already.
--
-- $1 names text[]   $2 concurrencies integer[]   $3 bursts integer[]
-- $4 gaps double precision[]   (same length, no name twice)
insert into :"schema".limits as known (name, concurrency, burst, gap)
select
    told.name,
    told.concurrency,
    told.burst,
    told.gap
from unnest($1::text[], $2::integer[], $3::integer[], $4::double precision[])
    as told (name, concurrency, burst, gap)
order by told.name
on conflict (name) do update
set
    concurrency = excluded.concurrency,
    burst = excluded.burst,
    gap = excluded.gap,
    changed_at = clock_timestamp()
where
    (known.concurrency, known.burst, known.gap)
    is distinct from (excluded.concurrency, excluded.burst, excluded.gap);
