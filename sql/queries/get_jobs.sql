-- get_jobs: all that is stored of some jobs; moments as far as every client knows them.
--
-- $1 ids bigint[]
select
    jobs.id,
    jobs.name,
    jobs.queue,
    jobs.priority,
    jobs.state::text as state,
    jobs.attempt,
    greatest(least(jobs.run_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z') as run_at,
    greatest(least(jobs.created_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z') as created_at,
    case
        when jobs.attempted_at is not null
            then greatest(least(jobs.attempted_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as attempted_at,
    case
        when jobs.finished_at is not null
            then greatest(least(jobs.finished_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as finished_at,
    jobs.args::text as args,
    coalesce(jobs.errors, '[]')::text as errors
    , coalesce(jobs.tags, '{}') as tags -- since: 2
    , jobs.extra::text as extra -- since: 2
    , jobs.expires_at -- since: 2
    , jobs.progress::text as progress -- since: 5
    , jobs.result::text as result -- since: 5
    , jobs.lane -- since: 6
    , jobs.waits_in -- since: 6
    , encode(jobs.unique_key, 'hex') as unique_key -- since: 7
    , jobs.parent_id -- since: 13
    , jobs.locked_by as worker_id -- since: 13
from :"schema".jobs
where jobs.id = any($1::bigint[])
order by jobs.id;
