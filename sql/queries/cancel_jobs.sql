-- cancel_jobs: keep jobs from running, or from running again.
--
-- Run when a user cancels.
--
-- $1 ids bigint[]   $2 interrupt boolean   $3 channel text
-- $4 states job_state[]   (only those in one of these now; or null)
--
-- Returns the ids of the jobs that were not finished yet. Those that do not run are
-- cancelled at once and kept. A running one is marked: it never goes back to the queue,
-- and with interrupt its worker is told to cancel it. Whoever watches a job hears that it is
-- cancelled; and when it had a lane, workers look whether there is room in any.
with wanted as materialized (
    select jobs.id
    from :"schema".jobs
    where
        jobs.id = any($1::bigint[])
        and jobs.state not in ('succeeded', 'failed', 'cancelled')
        and (
            cast($4 as :"schema".job_state[]) is null
            or jobs.state = any(cast($4 as :"schema".job_state[]))
        )
    order by jobs.id
    for update
),

changed as (
    update :"schema".jobs
    set
        state = cast(case
            when jobs.state = 'running' then 'running'
            else 'cancelled'
        end as :"schema".job_state),
        finished_at = case when jobs.state = 'running' then null else clock_timestamp() end,
        cancel_requested = true,
        interrupt = jobs.interrupt or $2
        , waits_in = null, lane_kept = null -- since: 6
    where
        jobs.id = any(array(select wanted.id from wanted))
        and jobs.state not in ('succeeded', 'failed', 'cancelled')
    returning
        jobs.id,
        jobs.state,
        jobs.state = 'running' and $2 as interrupted,
        false
        or coalesce(jobs.state = 'cancelled' and jobs.extra ? 'watched', false) -- since: 2
        as told,
        false
        or (jobs.state = 'cancelled' and coalesce(jobs.lane, jobs.queue_lane) is not null) -- since: 6
        as roomy
),

news as (
    select
        pg_notify($3, json_strip_nulls(json_build_object(
            'cancel', array_agg(id) filter (where interrupted),
            'changed', array_agg(id) filter (where told),
            'lanes', case when bool_or(roomy) then array['*'] end
        ))::text) as sent
    from changed
    where interrupted or told or roomy
    having count(*) > 0
)

select changed.id
from changed
left join news on true
order by changed.id;
