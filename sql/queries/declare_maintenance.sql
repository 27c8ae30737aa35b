-- declare_maintenance: have a row for each task that a worker may do.
--
-- Run by every worker at its start.
--
-- $1 tasks text[]   $2 forgotten double precision   (seconds)
--
-- A task that nobody has done for so long belongs to an application that is gone.
with forgotten as (
    delete from :"schema".maintenance
    where
        maintenance.worker is null
        and maintenance.task <> all($1::text[])
        and maintenance.due_at < clock_timestamp() - $2::double precision * interval '1 second'
)

insert into :"schema".maintenance (task)
select wanted.task
from unnest($1::text[]) as wanted (task)
on conflict on constraint maintenance_pkey do nothing;
