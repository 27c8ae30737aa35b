-- offer_jobs: make available at once what workers postponed because they did not know it.
--
-- Run by every worker when it has registered, with the names of the jobs that it knows.
--
-- $1 names text[]   $2 channel text
--
-- Returns one row: how many there were. A postponed job has a negative position (see
-- finish_by_update), its old place in the queue, which it takes again. It is due within
-- half a minute, so that few future jobs are looked at. A limited one goes into its line.
-- (No join: see retry_jobs.)
with known as materialized (
    select jobs.id
    from :"schema".jobs
    where
        jobs.state = 'scheduled'
        and jobs.run_at <= now() + interval '1 minute'
        and jobs.position < 0
        and jobs.name = any($1::text[])
    for update skip locked
),

offered as (
    update :"schema".jobs
    set
        position = -jobs.position,
        run_at = now(),
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
    where jobs.id = any(array(select known.id from known))
    returning jobs.queue, jobs.priority, jobs.state
)

select
    count(*) as jobs,
    case when count(*) > 0 then
        pg_notify($2, json_strip_nulls(json_build_object(
            'ready', case
                when octet_length(json_agg(distinct queue) filter (where state = 'available')::text) > 4000
                    then array['*']
                else array_agg(distinct queue) filter (where state = 'available')
            end,
            'priority', min(priority) filter (where state = 'available'),
            'lanes', case when bool_or(state not in ('available')) then array['*'] end
        ))::text)
    end as sent
from offered;
