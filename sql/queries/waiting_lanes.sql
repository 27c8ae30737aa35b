-- waiting_lanes: some lanes in which jobs wait, by name.
--
-- Run by every worker every few seconds, for its sweep over what nobody has told it of.
--
-- $1 after text   (begin behind this name)   $2 limit integer
--
-- Reads one entry of an index for each lane, however many jobs wait there.
with recursive found as (
    select 1 as place, (
        select jobs.waits_in
        from :"schema".jobs
        where jobs.waits_in > $1
        order by jobs.waits_in
        limit 1
    ) as lane
    union all
    select found.place + 1, (
        select jobs.waits_in
        from :"schema".jobs
        where jobs.waits_in > found.lane
        order by jobs.waits_in
        limit 1
    )
    from found
    where found.lane is not null and found.place < $2
)

select found.lane
from found
where found.lane is not null
order by found.place;
