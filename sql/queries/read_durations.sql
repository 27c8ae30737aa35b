-- read_durations: what ended, and how long jobs waited and ran, by queue and name.
--
-- Run by the dashboard.
--
-- $1 width integer   (seconds)   $2 spans integer   (so many, up to now)
--
-- Returns a row for each span, queue and name; whoever asks adds the histograms up.
select
    statistics.queue,
    statistics.name,
    statistics.succeeded,
    statistics.failed,
    statistics.retried,
    statistics.cancelled,
    statistics.waits,
    statistics.runs
from :"schema".statistics
where
    statistics.width = $1
    and statistics.since > statement_timestamp() - $1 * $2 * interval '1 second';
