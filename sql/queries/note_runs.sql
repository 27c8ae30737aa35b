-- note_runs: say in their schedules how runs ended.
--
-- Run by a worker after finish_by_delete and finish_by_update in the same transaction, if
-- runs of schedules are among the jobs that ended.
--
-- $1 names text[]        (each once)
-- $2 results text[]      (succeeded or failed, of the last of its runs)
-- $3 cleared boolean[]   (one of its runs succeeded: what failed before does not count)
-- $4 failures integer[]  (failed attempts of runs that failed, after that)
-- $5 most integer[]      (with so many the schedule gives up)   (same length)
-- $6 patience text        (how long another's open transaction is waited for; null: as it is set)
with setting as materialized (
    select
        current_setting('lock_timeout') as usual,
        case
            when $6::text is not null then set_config('lock_timeout', $6::text, true)
        end as patience
),

told as materialized (
    select report.*
    from setting
    cross join unnest(
        $1::text[], $2::text[], $3::boolean[], $4::integer[], $5::integer[]
    ) as report (name, result, cleared, failures, most)
),

mine as materialized (
    select
        schedules.name,
        case when told.cleared then 0 else schedules.failures end + told.failures as failures
    from :"schema".schedules
    inner join told on schedules.name = told.name
    order by schedules.name
    for update of schedules
),

noted as (
    update :"schema".schedules
    set
        last_result = told.result,
        finished_at = clock_timestamp(),
        failures = mine.failures,
        gave_up_at = case
            when told.result = 'failed' and mine.failures >= told.most
                then coalesce(schedules.gave_up_at, clock_timestamp())
            else schedules.gave_up_at
        end
    from told
    inner join mine on told.name = mine.name
    where schedules.name = told.name
    returning schedules.name
)

-- The commit waits for those of all who notify, as long as that takes.
select case
    when setting.patience is not null then set_config('lock_timeout', setting.usual, true)
end as done
from setting
where (select count(*) from noted) >= 0;
