-- look_at_jobs: how it stands with jobs that somebody waits for.
--
-- Run by every program that waits for jobs: when a notification speaks of them, and once a
-- second for all of them.
--
-- $1 ids bigint[]
--
-- Returns what exists. The result comes with a job that has ended, the error with one that
-- failed.
select
    jobs.id,
    jobs.name,
    jobs.state::text as state,
    jobs.attempt,
    greatest(least(jobs.run_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z') as run_at,
    coalesce(jobs.extra ? 'retain', false) as keeps,
    coalesce(jobs.extra ? 'watched', false) as watched,
    jobs.progress::text as progress,
    case when jobs.finished_at is not null then jobs.result::text end as result,
    case when jobs.state = 'failed' then (jobs.errors -> -1)::text end as error
from :"schema".jobs
where jobs.id = any($1::bigint[])
order by jobs.id;
