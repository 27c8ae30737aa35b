-- begin_maintenance: let one worker do the task that has been due for longest.
--
-- Run by every worker about twice a minute, and again after each task.
--
-- $1 worker bigint   $2 tasks text[]
--
-- Returns the task, or nothing. Of workers that ask at once each gets another one. A task that
-- this worker began and did not end, because the database did not take it, is its own again.
update :"schema".maintenance
set
    worker = $1,
    began_at = clock_timestamp()
where maintenance.task = (
    select due.task
    from :"schema".maintenance as due
    where
        due.task = any($2::text[])
        and due.due_at <= clock_timestamp()
        and (due.worker is null or due.worker = $1)
    order by due.due_at
    limit 1
    for update skip locked
)
returning maintenance.task;
