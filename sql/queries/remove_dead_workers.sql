-- remove_dead_workers: declare workers dead whose lease has run out or who are known gone.
--
-- Run by every worker once a heartbeat, and at its start, in one transaction with free_jobs.
--
-- $1 dead bigint[]   (workers known to be gone, whatever their lease)
-- $2 watched double precision   (seconds for which the caller has had no trouble with us)
--
-- After an outage of the database everybody's lease has run out, and a heartbeat may take a
-- third of a lease to come: only who has watched for half of it may say that one is silent.
--
-- Returns id, name and leaving of those it removed. From now on their heartbeats and claims
-- find nothing. Two rescuers cannot both have one; a worker that claims at this very moment
-- has its row locked and is left to the next run.
delete from :"schema".workers
where workers.id = any(array(
    select silent.id
    from :"schema".workers as silent
    where
        silent.id = any($1::bigint[])
        or (
            silent.heartbeat_at + silent.lease < clock_timestamp()
            and silent.lease <= $2::double precision * interval '2 seconds'
        )
    order by silent.id
    for update skip locked
))
returning
    workers.id,
    workers.name
    , workers.leaving -- since: 4
;
