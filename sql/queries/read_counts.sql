-- read_counts: how many attempts ended in each span of time, all queues and names together.
--
-- Run by the dashboard, for its charts.
--
-- $1 width integer   (seconds)   $2 spans integer   (so many, up to now)
--
-- Returns a row for each span in which an attempt ended, the oldest first.
select
    statistics.since,
    sum(statistics.succeeded)::bigint as succeeded,
    sum(statistics.failed)::bigint as failed,
    sum(statistics.retried)::bigint as retried,
    sum(statistics.cancelled)::bigint as cancelled
from :"schema".statistics
where
    statistics.width = $1
    and statistics.since > statement_timestamp() - $1 * $2 * interval '1 second'
group by statistics.since
order by statistics.since;
