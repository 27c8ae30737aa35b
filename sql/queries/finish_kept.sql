-- finish_kept: finish_by_update for jobs that keep a result, told of progress, or are watched.
--
-- Run by every worker for each batch in which there are such jobs. Durable.
--
-- $1 worker bigint
-- $2 ids bigint[], ascending   $3 attempts smallint[]   $4 states text[]   $5 delays double precision[]
-- $6 refunds boolean[]   $7 errors text[]   (JSON objects, or null)
-- $8 results text[]   $9 progress text[]   (JSON, or null)
-- $10 lingering boolean[]   (the row was to go: it stays a minute, for those who watch)
-- (all of the same length)   $11 channel text
--
-- Returns the ids it changed; fenced and without a join as finish_by_update is. Listeners are told what
-- finish_by_update tells, and which of the jobs changed that somebody watches: some hundred
-- ids in a notification, which holds 8 000 bytes.
with changed as (
    update :"schema".jobs
    set
        locked_by = null,
        (state, finished_at, run_at, attempt, errors, result, progress, retain) = (
            select
                cast(case
                    when report.goes_back and jobs.cancel_requested then 'cancelled'
                    else report.state
                end as :"schema".job_state),
                case
                    when report.goes_back and not jobs.cancel_requested then null
                    else clock_timestamp()
                end,
                case
                    when report.state = 'scheduled'
                        then clock_timestamp() + report.delay * interval '1 second'
                    else jobs.run_at
                end,
                case when report.refund then jobs.attempt - 1 else jobs.attempt end,
                case
                    when report.error is null then jobs.errors
                    when jobs.errors is null then jsonb_build_array(report.error::jsonb)
                    when jsonb_typeof(jobs.errors) <> 'array'
                        then jsonb_build_array(jobs.errors, report.error::jsonb)
                    when jsonb_array_length(jobs.errors) >= 100
                        then (jobs.errors - 0) || report.error::jsonb
                    else jobs.errors || report.error::jsonb
                end,
                report.result::jsonb,
                coalesce(report.progress::jsonb, jobs.progress),
                case
                    when report.lingering then coalesce(jobs.retain, interval '1 minute')
                    else jobs.retain
                end
            from (
                select
                    told.*,
                    told.state in ('scheduled', 'available') as goes_back
                from (
                    select
                        ($4::text[])[here.place] as state,
                        ($5::double precision[])[here.place] as delay,
                        ($6::boolean[])[here.place] as refund,
                        ($7::text[])[here.place] as error,
                        ($8::text[])[here.place] as result,
                        ($9::text[])[here.place] as progress,
                        ($10::boolean[])[here.place] as lingering
                    from (select width_bucket(jobs.id, $2::bigint[]) as place offset 0) as here
                    offset 0
                ) as told
            ) as report
        )
    where
        jobs.id = any($2::bigint[])
        and jobs.attempt = ($3::smallint[])[width_bucket(jobs.id, $2::bigint[])]
        and coalesce(jobs.locked_by = $1::bigint, false)
    returning
        jobs.id,
        jobs.queue,
        jobs.priority,
        jobs.state,
        jobs.run_at,
        coalesce(jobs.extra ? 'watched', false)
        or ($10::boolean[])[width_bucket(jobs.id, $2::bigint[])] as watched
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
