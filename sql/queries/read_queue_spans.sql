-- read_queue_spans: how many attempts ended in each span of time, by queue.
--
-- Run by the dashboard, for the small charts of queues.
--
-- $1 width integer   (seconds)   $2 spans integer   (so many, up to now)
--
-- Returns a row for each span and queue, the oldest first.
select
    statistics.queue,
    statistics.since,
    sum(statistics.succeeded)::bigint as succeeded,
    sum(statistics.failed)::bigint as failed,
    sum(statistics.retried)::bigint as retried,
    sum(statistics.cancelled)::bigint as cancelled
from :"schema".statistics
where
    statistics.width = $1
    and statistics.since > statement_timestamp() - $1 * $2 * interval '1 second'
group by statistics.since, statistics.queue
order by statistics.since;
