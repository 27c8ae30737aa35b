-- read_runs: the last runs of schedules that are still stored.
--
-- Run by the dashboard every few seconds while somebody looks at schedules.
--
-- $1 schedules text[]   $2 each integer   (so many runs of one)
--
-- Returns the runs, those of each schedule newest first. Of the runs for ticks an index tells
-- the last. Of those that somebody asked for it does not: the last of so many are taken, as
-- they lie in the index, which is about how they were stored.
select
    recent.schedule,
    recent.id,
    recent.state::text as state,
    recent.tick,
    recent.attempt,
    recent.run_at,
    recent.attempted_at,
    recent.finished_at
from unnest($1::text[]) as wanted (name)
cross join lateral (
    select runs.*
    from (
        (
            select jobs.*
            from :"schema".jobs
            where jobs.schedule = wanted.name and jobs.tick is not null
            order by jobs.schedule desc, jobs.tick desc
            limit $2::integer
        )
        union all
        (
            select jobs.*
            from :"schema".jobs
            where jobs.schedule = wanted.name and jobs.tick is null
            order by jobs.schedule desc, jobs.tick desc
            limit 5 * $2::integer
        )
    ) as runs
    order by runs.id desc
    limit $2::integer
) as recent
order by recent.schedule, recent.id desc;
