-- pause_lane: let nothing in, or of a queue claim nothing.
--
-- Run when a user pauses; park_jobs or park_key follows.
--
-- $1 lane text   $2 channel text
--
-- Returns whether it was not paused before. The version changes, so that nobody lets a job in
-- by what he saw before.
with paused as (
    insert into :"schema".lanes as known (name, paused_at)
    values ($1, clock_timestamp())
    on conflict (name) do update
    set paused_at = excluded.paused_at, version = known.version + 1
    where known.paused_at is null
    returning known.name
),

news as (
    select pg_notify($2, json_build_object('pauses', true)::text) as sent
    from paused
)

select count(news.sent) = 1 as changed
from news;
