-- read_tags: the tags of the newest jobs.
--
-- Run by the dashboard, to complete what is typed; at most every few seconds.
--
-- $1 newest integer   (so many jobs are looked at)   $2 limit integer   (tags)
select distinct tagged.tag
from (
    select jobs.tags
    from :"schema".jobs
    order by jobs.id desc
    limit $1::integer
) as newest
cross join unnest(newest.tags) as tagged (tag)
order by tagged.tag
limit $2::integer;
