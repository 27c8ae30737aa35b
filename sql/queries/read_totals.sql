-- read_totals: what workers did since they count, by queue and job name.
--
-- Run at most once a second by whatever Prometheus asks.
--
-- $1 limit integer   (so many, the oldest: who is left out today does not come in tomorrow)
select
    totals.queue,
    totals.name,
    totals.since,
    totals.succeeded,
    totals.failed,
    totals.retried,
    totals.cancelled,
    totals.waits,
    totals.runs,
    totals.rescued,
    totals.waited,
    totals.ran
from :"schema".totals
order by totals.since, totals.queue, totals.name
limit $1::integer;
