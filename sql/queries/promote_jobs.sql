-- promote_jobs: make due jobs available, and say when the next one is due.
--
-- Run by every worker when it believes a future job to be due, and once every few seconds.
--
-- $1 limit integer   $2 channel text
--
-- Returns one row: how many became available, and the seconds until the next future job is
-- due (null if there is none; 0 or less if more are due already). The clock is that of the
-- transaction's start, so no job is early. Promoted jobs go to the end of their queue, the
-- earliest first. A limited one goes into the line of its first lane; one that kept its own
-- lane through a retry goes on to that of its queue.
-- (No join: see retry_jobs.)
with due as materialized (
    select
        earliest.id,
        nextval((select (quote_ident(:'schema') || '.jobs_id_seq')::regclass)) as position
    from (
        select jobs.id
        from :"schema".jobs
        where jobs.state = 'scheduled' and jobs.run_at <= now()
        order by jobs.run_at
        limit $1
        for update skip locked
    ) as earliest
),

promoted as (
    update :"schema".jobs
    set
        position = (array(select due.position from due order by due.id))[
            width_bucket(jobs.id, array(select due.id from due order by due.id))
        ],
        waits_in = case -- since: 6
            when jobs.lane_kept then jobs.queue_lane -- since: 6
            else coalesce(jobs.lane, jobs.queue_lane) -- since: 6
        end, -- since: 6
        lane_kept = null, -- since: 6
        state = cast(coalesce(
            case -- since: 6
                when jobs.lane_kept and jobs.queue_lane is null then null -- since: 6
                when coalesce(jobs.lane, jobs.queue_lane) is not null then 'waiting' -- since: 6
            end, -- since: 6
            'available'
        ) as :"schema".job_state)
    where jobs.id = any(array(select due.id from due))
    returning
        jobs.queue
        , jobs.waits_in -- since: 6
        , jobs.priority
        , jobs.position
        , jobs.state
),

news as (
    select
        count(*) as jobs,
        case when count(*) > 0 then
            pg_notify($2, json_strip_nulls(json_build_object(
                'first', min(position) filter (where state = 'available'),
                'ready', case
                    when octet_length(json_agg(distinct queue) filter (where state = 'available')::text) > 4000
                        then array['*']
                    else array_agg(distinct queue) filter (where state = 'available')
                end,
                'priority', min(priority) filter (where state = 'available')
                , 'lanes', case -- since: 6
                    when count(waits_in) = 0 then null -- since: 6
                    when octet_length(string_agg(distinct waits_in, ',')) > 1500 then array['*'] -- since: 6
                    else array_agg(distinct waits_in) filter (where waits_in is not null) -- since: 6
                end -- since: 6
            ))::text)
        end as sent
    from promoted
)

select
    news.jobs,
    case
        when news.jobs = $1 then 0.0
        else (
            select extract(epoch from jobs.run_at - clock_timestamp())
            from :"schema".jobs
            where jobs.state = 'scheduled' and jobs.run_at > now() and isfinite(jobs.run_at)
            order by jobs.run_at
            limit 1
        )
    end::double precision as next_in
from news;
