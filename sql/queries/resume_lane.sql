-- resume_lane: end what pause_lane did.
--
-- Run when a user resumes.
--
-- $1 lane text   $2 channel text
--
-- Returns whether it was paused.
with resumed as (
    update :"schema".lanes
    set paused_at = null, version = lanes.version + 1, used_at = clock_timestamp()
    where lanes.name = $1 and lanes.paused_at is not null
    returning lanes.name
),

news as (
    select
        pg_notify($2, json_build_object('pauses', true, 'lanes', array[name])::text) as sent
    from resumed
)

select count(news.sent) = 1 as changed
from news;
