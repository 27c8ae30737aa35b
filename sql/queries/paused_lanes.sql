-- paused_lanes: what is paused, and since when.
--
-- Run by every worker at its start, when something was paused or resumed, and with every
-- heartbeat; and by people.
select
    lanes.name,
    lanes.paused_at
from :"schema".lanes
where lanes.paused_at is not null
order by lanes.name;
