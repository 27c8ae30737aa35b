-- end_maintenance: record what came of a task, and when it is due again.
--
-- Run by a worker that has done one.
--
-- $1 worker bigint   $2 task text   $3 every double precision   (seconds)
-- $4 done bigint   $5 report text   $6 problem text
--
-- Returns the task, or nothing if it is not this worker's any more.
update :"schema".maintenance
set
    worker = null,
    due_at = case
        when isfinite(maintenance.due_at)
            then clock_timestamp() + $3::double precision * interval '1 second'
        else maintenance.due_at
    end,
    ended_at = clock_timestamp(),
    seconds = extract(epoch from clock_timestamp() - maintenance.began_at),
    done = $4,
    done_in_all = maintenance.done_in_all + $4,
    report = $5,
    problem = $6
where maintenance.task = $2 and maintenance.worker = $1
returning maintenance.task;
