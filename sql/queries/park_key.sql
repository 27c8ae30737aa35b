-- park_key: put the jobs that a lane has let in, but that do not run yet, back into its line.
--
-- Run after pause_lane for `key:...`.
--
-- $1 lane text
--
-- Returns how many. They are the first again when the lane is resumed.
with parked as (
    update :"schema".jobs
    set state = 'waiting', waits_in = $1
    where jobs.id = any(array(
        select let_in.id
        from :"schema".jobs as let_in
        where
            let_in.lane = $1
            and let_in.state not in ('succeeded', 'failed', 'cancelled')
            and (
                let_in.state in ('available', 'running')
                or let_in.waits_in = let_in.queue_lane
                or (let_in.lane_kept and let_in.state = 'scheduled')
            )
            and let_in.state in ('available', 'waiting')
        for update skip locked
    ))
    returning jobs.id
)

select count(*) as jobs
from parked;
