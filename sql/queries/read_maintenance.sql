-- read_maintenance: how it stands with every task of maintenance.
--
-- Run by dashboards and commands that somebody looks at.
select
    maintenance.task,
    maintenance.due_at,
    workers.name as worker,
    maintenance.began_at,
    maintenance.ended_at,
    maintenance.seconds,
    maintenance.done,
    maintenance.done_in_all,
    maintenance.report,
    maintenance.problem
from :"schema".maintenance
left join :"schema".workers on maintenance.worker = workers.id
order by maintenance.task;
