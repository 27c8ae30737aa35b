-- forget_lanes: remove the rows of lanes that nobody used for long.
--
-- Run by every worker every few minutes.
--
-- $1 seconds double precision   (without use)   $2 limit integer
--
-- Returns the names. A lane whose rate still holds starts back keeps its row, and so does one
-- that is paused.
delete from :"schema".lanes
where lanes.name = any(array(
    select old.name
    from :"schema".lanes as old
    where
        old.paused_at is null
        and old.used_at < clock_timestamp() - $1::double precision * interval '1 second'
        and coalesce(old.full_at < clock_timestamp(), true)
    limit $2
    for update skip locked
))
returning lanes.name;
