-- count_schedules: how many schedules there are, by how they stand.
--
-- Run by the dashboard every few seconds while somebody looks at its list of schedules.
--
-- Returns a row for each standing that any of them has.
select
    case
        when schedules.retired_at is not null then 'retired'
        when not schedules.enabled then 'off'
        when schedules.gave_up_at is not null then 'gave up'
        else 'active'
    end as standing,
    count(*) as schedules
from :"schema".schedules
group by standing;
