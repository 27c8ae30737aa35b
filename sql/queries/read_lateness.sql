-- read_lateness: how late the schedules are that should run.
--
-- Run at most once a second by whatever Prometheus asks.
--
-- $1 late double precision   (seconds after which a tick counts as overdue)
--
-- Returns one row: overdue, how many have a tick that old, or were not planned for so long;
-- seconds, by which the latest is late, 0 if none is; problems, how many nobody can run.
select
    count(*) filter (where due.seconds > $1::double precision) as overdue,
    greatest(coalesce(max(due.seconds), 0), 0) as seconds,
    count(*) filter (where due.is_broken) as problems
from (
    select
        schedules.problem is not null as is_broken,
        extract(
            epoch from clock_timestamp() - coalesce(schedules.next_at, schedules.after_at)
        )::double precision as seconds
    from :"schema".schedules
    where
        schedules.enabled
        and schedules.gave_up_at is null
        and schedules.retired_at is null
) as due;
