-- remove_dead_workers: declare workers dead whose lease has run out or who are known gone.
--
-- Run by every worker once a heartbeat, and at its start, in one transaction with free_jobs.
--
-- $1 dead bigint[]   (workers known to be gone, whatever their lease)
--
-- Returns id and name of those it removed. From now on their heartbeats and claims find
-- nothing. Two rescuers cannot both have one; a worker that claims at this very moment has
-- its row locked and is left to the next run.
delete from :"schema".workers
where workers.id = any(array(
    select silent.id
    from :"schema".workers as silent
    where
        silent.id = any($1::bigint[])
        or silent.heartbeat_at + silent.lease < clock_timestamp()
    order by silent.id
    for update skip locked
))
returning workers.id, workers.name;
