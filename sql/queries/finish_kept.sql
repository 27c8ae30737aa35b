-- finish_kept: finish_by_update for jobs that keep a result, told of progress, or are watched.
--
-- Run by every worker for each batch in which there are such jobs. Durable.
--
-- $1 worker bigint
-- $2 ids bigint[]   $3 attempts smallint[]   $4 states text[]   $5 delays double precision[]
-- $6 refunds boolean[]   $7 errors text[]   (JSON objects, or null)
-- $8 results text[]   $9 progress text[]   (JSON, or null)
-- $10 lingering boolean[]   (the row was to go: it stays a minute, for those who watch)
-- (all of the same length)   $11 channel text
--
-- Returns the ids it changed; fenced as finish_by_delete is. Listeners are told what
-- finish_by_update tells, and which of the jobs changed that somebody watches: some hundred
-- ids in a notification, which holds 8 000 bytes.
with report as materialized (
    select
        told.id,
        told.attempt,
        told.state,
        told.delay * interval '1 second' as delay,
        told.refund,
        told.error,
        told.result,
        told.progress,
        told.lingering
    from unnest(
        $2::bigint[], $3::smallint[], $4::text[], $5::double precision[],
        $6::boolean[], $7::text[], $8::text[], $9::text[], $10::boolean[]
    ) as told (id, attempt, state, delay, refund, error, result, progress, lingering)
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
        end,
        result = report.result::jsonb,
        progress = coalesce(report.progress::jsonb, jobs.progress),
        retain = case
            when report.lingering then coalesce(jobs.retain, interval '1 minute')
            else jobs.retain
        end
    from report
    where
        jobs.id = report.id
        and jobs.attempt = report.attempt
        and coalesce(jobs.locked_by = $1::bigint, false)
    returning
        jobs.id,
        jobs.queue,
        jobs.priority,
        jobs.state,
        jobs.run_at,
        coalesce(jobs.extra ? 'watched', false) or report.lingering as watched
),

watched as (
    select
        changed.id,
        (row_number() over () - 1) / 300 as part
    from changed
    where changed.watched
),

news as (
    select
        pg_notify($11, json_strip_nulls(json_build_object(
            'ready', array_agg(distinct changed.queue) filter (where changed.state = 'available'),
            'priority', min(changed.priority) filter (where changed.state = 'available'),
            'due', extract(epoch from min(changed.run_at) filter (
                where changed.state = 'scheduled'
            ))
        ))::text) as sent
    from changed
    where changed.state in ('available', 'scheduled')
    having count(*) > 0
    union all
    select pg_notify($11, json_build_object('changed', array_agg(watched.id))::text) as sent
    from watched
    group by watched.part
)

select changed.id
from changed
cross join (select count(*) as sent from news) as told;
