-- read_names: the names of jobs that ended in the last days.
--
-- Run by the dashboard, to complete what is typed; at most once a minute.
--
-- $1 width integer   (of the widest spans that are counted)
-- $2 wide integer    (of those that are made of them, see join_statistics)
select statistics.name
from :"schema".statistics
where statistics.width = $2
union
select statistics.name
from :"schema".statistics
where
    statistics.width = $1
    and statistics.since >= coalesce(
        (
            select max(wide.since) + $2 * interval '1 second'
            from :"schema".statistics as wide
            where wide.width = $2
        ),
        '-infinity'
    )
order by name
limit 1000;
