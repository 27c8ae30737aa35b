-- promote_jobs: make due jobs available, and say when the next one is due.
--
-- Run by every worker when it believes a future job to be due, and once every few seconds.
--
-- $1 limit integer   $2 channel text
--
-- Returns one row: how many became available, and the seconds until the next future job is
-- due (null if there is none; 0 or less if more are due already). The clock is that of the
-- transaction's start, so no job is early. Promoted jobs go to the end of their queue, the
-- earliest first.
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
    set state = 'available', position = due.position
    from due
    where jobs.id = due.id
    returning jobs.queue, jobs.priority
),

news as (
    select
        count(*) as jobs,
        case when count(*) > 0 then
            pg_notify($2, json_build_object(
                'ready', array_agg(distinct queue), 'priority', min(priority)
            )::text)
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
            where jobs.state = 'scheduled' and jobs.run_at > now()
            order by jobs.run_at
            limit 1
        )
    end::double precision as next_in
from news;
