-- finish_by_update: record what became of attempts whose jobs stay in the table.
--
-- Run by every worker for each batch of jobs that ended. Durable.
--
-- $1 worker bigint
-- $2 ids bigint[]   $3 attempts smallint[]   $4 states text[]   $5 delays double precision[]
-- $6 refunds boolean[]   $7 errors text[]   (JSON objects, or null)   (same length)
-- $8 channel text
--
-- Returns the ids it changed; fenced as finish_by_delete is. A job that goes back to the
-- queue although somebody asked for its cancellation becomes cancelled. One that comes back
-- after a delay takes its place at the end of the queue when it is due, one that comes back
-- at once keeps its place. A postponed one comes back after a delay too, and notes its place
-- as a negative position, by which offer_jobs finds it. The last 100 errors are kept.
-- Listeners are told what is available again, and what is due when.
with report as materialized (
    select
        told.id,
        told.attempt,
        case when told.state = 'postponed' then 'scheduled' else told.state end as state,
        told.state = 'postponed' as postponed,
        told.delay * interval '1 second' as delay,
        told.refund,
        told.error
    from unnest(
        $2::bigint[], $3::smallint[], $4::text[], $5::double precision[],
        $6::boolean[], $7::text[]
    ) as told (id, attempt, state, delay, refund, error)
),

changed as (
    update :"schema".jobs
    set
        state = cast(case
            when report.state in ('scheduled', 'available') and jobs.cancel_requested
                then 'cancelled'
            else report.state
        end as :"schema".job_state),
        finished_at = case
            when report.state in ('scheduled', 'available') and not jobs.cancel_requested
                then null
            else clock_timestamp()
        end,
        run_at = case
            when report.state = 'scheduled' then clock_timestamp() + report.delay
            else jobs.run_at
        end,
        position = case
            when report.postponed then -abs(jobs.position)
            else jobs.position
        end,
        attempt = case when report.refund then jobs.attempt - 1 else jobs.attempt end,
        locked_by = null,
        errors = case
            when report.error is null then jobs.errors
            when jobs.errors is null then jsonb_build_array(report.error::jsonb)
            when jsonb_typeof(jobs.errors) <> 'array'
                then jsonb_build_array(jobs.errors, report.error::jsonb)
            when jsonb_array_length(jobs.errors) >= 100
                then (jobs.errors - 0) || report.error::jsonb
            else jobs.errors || report.error::jsonb
        end
    from report
    where
        jobs.id = report.id
        and jobs.attempt = report.attempt
        and coalesce(jobs.locked_by = $1::bigint, false)
    returning jobs.id, jobs.queue, jobs.priority, jobs.state, jobs.run_at
),

news as (
    select
        pg_notify($8, json_strip_nulls(json_build_object(
            'ready', array_agg(distinct queue) filter (where state = 'available'),
            'priority', min(priority) filter (where state = 'available'),
            'due', extract(epoch from min(run_at) filter (where state = 'scheduled'))
        ))::text) as sent
    from changed
    where state in ('available', 'scheduled')
    having count(*) > 0
)

select changed.id
from changed
left join news on true;
