-- finish_by_update: record what became of attempts whose jobs stay in the table.
--
-- Run by every worker for each batch of jobs that ended. Durable.
--
-- $1 worker bigint
-- $2 ids bigint[], ascending   $3 attempts smallint[]   $4 states text[]   $5 delays double precision[]
-- $6 refunds boolean[]   $7 errors text[]   (JSON objects, or null)   (same length)
-- $8 channel text
--
-- Returns the ids it changed; fenced as finish_by_delete is. A job that goes back to the
-- queue although somebody asked for its cancellation becomes cancelled. One that comes back
-- after a delay takes its place at the end of the queue when it is due, one that comes back
-- at once keeps its place. A postponed one comes back after a delay too, and notes its place
-- as a negative position, by which offer_jobs finds it. The last 100 errors are kept.
-- Listeners are told what is available again, and what is due when.
-- (No join, as in finish_by_delete; `offset 0` has each value looked up once.)
with changed as (
    update :"schema".jobs
    set
        locked_by = null,
        (state, finished_at, run_at, position, attempt, errors) = (
            select
                cast(case
                    when report.goes_back and jobs.cancel_requested then 'cancelled'
                    when report.state = 'postponed' then 'scheduled'
                    else report.state
                end as :"schema".job_state),
                case
                    when report.goes_back and not jobs.cancel_requested then null
                    else clock_timestamp()
                end,
                case
                    when report.state in ('scheduled', 'postponed')
                        then clock_timestamp() + report.delay * interval '1 second'
                    else jobs.run_at
                end,
                case
                    when report.state = 'postponed' then -abs(jobs.position)
                    else jobs.position
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
                end
            from (
                select
                    told.*,
                    told.state in ('scheduled', 'postponed', 'available') as goes_back
                from (
                    select
                        ($4::text[])[here.place] as state,
                        ($5::double precision[])[here.place] as delay,
                        ($6::boolean[])[here.place] as refund,
                        ($7::text[])[here.place] as error
                    from (select width_bucket(jobs.id, $2::bigint[]) as place offset 0) as here
                    offset 0
                ) as told
            ) as report
        )
    where
        jobs.id = any($2::bigint[])
        and jobs.attempt = ($3::smallint[])[width_bucket(jobs.id, $2::bigint[])]
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
