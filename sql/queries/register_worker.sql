-- register_worker: add a worker; its lease starts now.
--
-- Run by every worker at its start, and again if it was declared dead.
--
-- $1 name text   $2 group text   $3 queues text[]   $4 host text   $5 host_id text
-- $6 pid integer   $7 process_started double precision   $8 lease double precision (seconds)
-- $9 version text   $10 concurrency integer   $11 quiet boolean   (these three since version 12)
insert into :"schema".workers (
    name, worker_group, queues, host, host_id, pid, process_started, lease
    , version, concurrency, quiet_at -- since: 12
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8::double precision * interval '1 second'
    , $9, $10, case when $11::boolean then clock_timestamp() end -- since: 12
)
returning id;
