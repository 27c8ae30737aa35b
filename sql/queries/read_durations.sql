-- read_durations: what ended, and how long jobs waited and ran, by queue and name.
--
-- Run by the dashboard.
--
-- $1 width integer   (seconds)   $2 spans integer   (so many, up to now)
-- $3 wide integer    (seconds: a multiple of width, of which two fit into that time; or null)
--
-- Returns a row for each span, queue and name; whoever asks adds the histograms up. They come
-- in the binary format of arrays. All is counted in spans of each width, so from the first wide
-- span that is within this time until the last one, wide spans tell the same in fewer rows.
with bounds as materialized (
    select
        statement_timestamp() - $1::integer * $2::integer * interval '1 second' as after_time,
        coalesce(
            to_timestamp(
                ceil(extract(epoch from statement_timestamp() - $1::integer * $2::integer * interval '1 second') / $3::integer)
                * $3::integer
            ),
            'infinity'
        ) as first_wide,
        coalesce(
            to_timestamp(floor(extract(epoch from statement_timestamp()) / $3::integer) * $3::integer), 'infinity'
        ) as after_wide
)

select
    ended.queue,
    ended.name,
    ended.succeeded,
    ended.failed,
    ended.retried,
    ended.cancelled,
    array_send(ended.waits) as waits,
    array_send(ended.runs) as runs
from (
    select narrow.*
    from :"schema".statistics as narrow
    where
        narrow.width = $1::integer
        and narrow.since > (select bounds.after_time from bounds)
        and narrow.since < (select bounds.first_wide from bounds)
    union all
    select wide.*
    from :"schema".statistics as wide
    where
        wide.width = $3::integer
        and wide.since >= (select bounds.first_wide from bounds)
        and wide.since < (select bounds.after_wide from bounds)
    union all
    select narrow.*
    from :"schema".statistics as narrow
    where
        narrow.width = $1::integer
        and narrow.since >= (select bounds.after_wide from bounds)
) as ended;
