-- read_limits: what is said of how many jobs of a name, or of a queue, may run or start.
--
-- Run by the dashboard every few seconds while somebody looks at its page of queues.
--
-- $1 limit integer
select
    limits.name,
    limits.concurrency,
    limits.burst,
    limits.gap,
    limits.changed_at
from :"schema".limits
order by limits.name
limit $1::integer;
