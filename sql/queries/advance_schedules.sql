-- advance_schedules: move schedules behind their ticks, and say which runs these make.
--
-- Run by a worker at a tick, after lock_schedules in the same transaction: with a snapshot of
-- its own it sees every run that was made before.
--
-- $1 plans text   (a JSON list of objects: name, ticks, skipped_at, covered_at, next_at)
--
-- Returns the runs to store, the earliest first: schedule, tick, and of its job name, queue,
-- priority, args and extras. A tick that has a run makes no other, and with overlap = 'skip'
-- none makes one while a run has not ended. With `offset` each question is one look into an
-- index; by a plan of when the table was empty the answers for all jobs would be gathered first.
with plans as materialized (
    select told.*
    from jsonb_to_recordset($1::text::jsonb) as told (
        name text, ticks timestamptz[], skipped_at timestamptz,
        covered_at timestamptz, next_at timestamptz
    )
),

judged as materialized (
    select
        schedules.name,
        ticks.tick,
        not exists (
            select from :"schema".jobs
            where jobs.schedule = schedules.name and jobs.tick = ticks.tick
            offset 0
        )
        and (schedules.overlap = 'allow' or not exists (
            select from :"schema".jobs
            where
                jobs.schedule = schedules.name
                and jobs.state not in ('succeeded', 'failed', 'cancelled')
            offset 0
        )) as runs
    from plans
    inner join :"schema".schedules on plans.name = schedules.name
    cross join lateral unnest(plans.ticks) as ticks (tick)
),

noted as (
    select
        judged.name,
        max(judged.tick) filter (where judged.runs) as last_at,
        max(judged.tick) filter (where not judged.runs) as skipped_at
    from judged
    group by judged.name
),

advanced as (
    update :"schema".schedules
    set
        after_at = plans.covered_at,
        next_at = plans.next_at,
        last_at = coalesce(noted.last_at, schedules.last_at),
        last_result = case when noted.last_at is null then schedules.last_result end,
        skipped_at = greatest(schedules.skipped_at, plans.skipped_at, noted.skipped_at),
        problem = null
    from plans
    left join noted on plans.name = noted.name
    where schedules.name = plans.name
    returning
        schedules.name,
        schedules.job,
        schedules.queue,
        schedules.priority,
        schedules.args::text as args,
        schedules.extras::text as extras
)

select
    advanced.name as schedule,
    judged.tick,
    advanced.job,
    advanced.queue,
    advanced.priority,
    advanced.args,
    advanced.extras
from judged
inner join advanced on judged.name = advanced.name
where judged.runs
order by judged.tick, advanced.name;
