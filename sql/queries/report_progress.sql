-- report_progress: store how far running jobs are, and tell those who watch.
--
-- Run by every worker whose jobs say how far they are: up to four times a second, for all of
-- them together.
--
-- $1 worker bigint
-- $2 ids bigint[], ascending   $3 attempts smallint[]   $4 progress text[]   (JSON)   (same length)
-- $5 begun bigint[]   (watched jobs that have begun to run)   $6 channel text
--
-- Returns the ids it changed; fenced as finish_by_delete is. The commit is not waited for:
-- progress that a crash loses is told again.
with setting as materialized (
    select set_config('synchronous_commit', 'off', true) as done
),

changed as (
    update :"schema".jobs
    set progress = (($4::text[])[width_bucket(jobs.id, $2::bigint[])])::jsonb
    where
        jobs.id = any($2::bigint[])
        and jobs.attempt = ($3::smallint[])[width_bucket(jobs.id, $2::bigint[])]
        and (select setting.done is not null from setting)
        and coalesce(jobs.locked_by = $1::bigint, false)
    returning jobs.id, coalesce(jobs.extra ? 'watched', false) as watched
),

watched as (
    select
        told.id,
        (row_number() over () - 1) / 300 as part
    from (
        select changed.id from changed
        where changed.watched
        union
        select begun.id from unnest($5::bigint[]) as begun (id)
    ) as told
),

news as (
    select pg_notify($6, json_build_object('changed', array_agg(watched.id))::text) as sent
    from watched
    group by watched.part
)

select changed.id
from (select count(*) as sent from news) as told
left join changed on true;
