-- offer_jobs: make available at once what workers postponed because they did not know it.
--
-- Run by every worker when it has registered, with the names of the jobs that it knows.
--
-- $1 names text[]   $2 channel text
--
-- Returns one row: how many there were. A postponed job has a negative position (see
-- finish_by_update), its old place in the queue, which it takes again. It is due within
-- half a minute, so that few future jobs are looked at.
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
    set state = 'available', position = -jobs.position, run_at = now()
    from known
    where jobs.id = known.id
    returning jobs.queue, jobs.priority
)

select
    count(*) as jobs,
    case when count(*) > 0 then
        pg_notify($2, json_build_object(
            'ready', array_agg(distinct queue), 'priority', min(priority)
        )::text)
    end as sent
from offered;
