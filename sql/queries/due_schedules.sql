-- due_schedules: the schedules whose next tick has come, or that have none planned.
--
-- Run by every worker at each tick, when a schedule changes, and once every few seconds.
--
-- $1 jobs text[]   (the names that this worker's code knows)   $2 limit integer
--
-- Returns one row for each, or one row of nulls if there is none, beside now, the database's
-- clock, and next_in, the seconds until the next tick of all others (null if there is none).
-- Moments and spans are told as far as every client knows them; of the moments that ticks follow
-- from, one beyond is infinity: nothing is planned by it, and that is reported.
with mine as materialized (
    select schedules.name, schedules.next_at
    from :"schema".schedules
    where
        schedules.enabled
        and schedules.gave_up_at is null
        and schedules.retired_at is null
        and schedules.job = any($1::text[])
),

due as materialized (
    select mine.name
    from mine
    where mine.next_at is null or mine.next_at <= statement_timestamp()
    order by mine.next_at nulls first
    limit $2
)

select
    statement_timestamp() as now,
    (
        select extract(epoch from min(mine.next_at) - clock_timestamp())
        from mine
        where mine.next_at > statement_timestamp()
    )::double precision as next_in,
    schedules.name,
    schedules.job,
    schedules.queue,
    schedules.priority,
    schedules.args::text as args,
    schedules.extras::text as extras,
    schedules.cron,
    case
        when schedules.every is not null then least(schedules.every, interval '400000 days')
    end as every,
    case
        when schedules.starting_at between '0002-01-01 00:00Z' and '9998-12-31 00:00Z'
            then schedules.starting_at
        when schedules.starting_at is not null then 'infinity'
    end as starting_at,
    schedules.timezone,
    schedules.catch_up,
    schedules.overlap,
    schedules.enabled,
    schedules.declared,
    case
        when schedules.after_at between '0002-01-01 00:00Z' and '9998-12-31 00:00Z'
            then schedules.after_at
        else 'infinity'
    end as after_at,
    case
        when schedules.next_at is not null
            then greatest(least(schedules.next_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as next_at,
    case
        when schedules.last_at is not null
            then greatest(least(schedules.last_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as last_at,
    schedules.last_result,
    case
        when schedules.finished_at is not null
            then greatest(least(schedules.finished_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as finished_at,
    case
        when schedules.skipped_at is not null
            then greatest(least(schedules.skipped_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z')
    end as skipped_at,
    schedules.failures,
    schedules.gave_up_at,
    schedules.retired_at,
    schedules.problem,
    greatest(least(schedules.created_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z') as created_at
from (select 1) as always
left join (due inner join :"schema".schedules on due.name = schedules.name) on true;
