-- find_schedules: the names of some schedules, in their order.
--
-- Run by the dashboard for a page of its list; get_schedules reads them.
--
-- $1 after text      (behind this name)
-- $2 containing text (a part of the name, or of that of the job, in lower case)
-- $3 standing text   (active, off, gave up or retired)   (null says nothing)
-- $4 limit integer
select schedules.name
from :"schema".schedules
where
    ($1::text is null or schedules.name > $1::text)
    and (
        $2::text is null
        or strpos(lower(schedules.name), $2::text) > 0
        or strpos(lower(schedules.job), $2::text) > 0
    )
    and (
        $3::text is null
        or $3::text = case
            when schedules.retired_at is not null then 'retired'
            when not schedules.enabled then 'off'
            when schedules.gave_up_at is not null then 'gave up'
            else 'active'
        end
    )
order by schedules.name
limit $4::integer;
