-- read_history: how many attempts ended in each span of time, by queue and name.
--
-- Run by the dashboard, for the small charts of schedules.
--
-- $1 width integer   (seconds)   $2 spans integer   (so many, up to now)
-- $3 names text[]    (of jobs; null for all)
--
-- Returns a row for each span, queue and name, the oldest first.
select
    statistics.queue,
    statistics.name,
    statistics.since,
    statistics.succeeded,
    statistics.failed,
    statistics.retried,
    statistics.cancelled
from :"schema".statistics
where
    statistics.width = $1
    and statistics.since > statement_timestamp() - $1 * $2 * interval '1 second'
    and ($3::text[] is null or statistics.name = any($3::text[]))
order by statistics.since;
