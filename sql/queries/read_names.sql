-- read_names: the names of jobs that ended in the last days.
--
-- Run by the dashboard, to complete what is typed; at most once a minute.
--
-- $1 width integer   (of the widest spans that are counted)
select distinct statistics.name
from :"schema".statistics
where statistics.width = $1
order by statistics.name
limit 1000;
