-- watch_jobs: note that somebody wants to hear what becomes of some jobs.
--
-- Run by every program that waits for jobs, once for each job and program.
--
-- $1 ids bigint[]   $2 channel text
--
-- Returns the ids it marked: those that have not ended and were not watched before. A row
-- that somebody else holds just now is passed over, to be tried again, so that this never
-- waits for a worker that waits for it. A claim or a promotion may have passed over a row
-- because it was held here, so workers are told of it again; and the worker of a running job
-- is told to say how it ends, some hundred ids in a notification, which holds 8 000 bytes.
-- The commit is not waited for: whoever waits marks again after the database was away.
with setting as materialized (
    select set_config('synchronous_commit', 'off', true) as done
),

wanted as materialized (
    select jobs.id
    from :"schema".jobs, setting
    where
        jobs.id = any($1::bigint[])
        and jobs.finished_at is null
        and not coalesce(jobs.extra ? 'watched', false)
    order by jobs.id
    for no key update of jobs skip locked
),

marked as (
    update :"schema".jobs
    set extra = coalesce(jobs.extra, '{}') || '{"watched": true}'
    where jobs.id = any(array(select wanted.id from wanted))
    returning jobs.id, jobs.queue, jobs.priority, jobs.state, jobs.run_at
),

news as (
    select
        pg_notify($2, json_strip_nulls(json_build_object(
            'ready', array_agg(distinct queue) filter (where state = 'available'),
            'priority', min(priority) filter (where state = 'available'),
            'due', extract(epoch from min(run_at) filter (where state = 'scheduled'))
        ))::text) as sent
    from marked
    where state in ('available', 'scheduled')
    having count(*) > 0
    union all
    select pg_notify($2, json_build_object('watched', array_agg(running.id))::text) as sent
    from (
        select
            marked.id,
            (row_number() over () - 1) / 300 as part
        from marked
        where marked.state = 'running'
    ) as running
    group by running.part
)

select marked.id
from marked
cross join (select count(*) as sent from news) as told;
