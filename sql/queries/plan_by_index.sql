-- plan_by_index: have this session's statements planned for a table that is about to grow.
--
-- Run once on each connection for the hot path. A plan that was made while the table was small
-- reads it from end to end, and is kept: after a rush of a million jobs each claim would go on
-- to do so until the next autovacuum.
--
-- $1 pid integer   (the process that the connection was told of)
--
-- Behind a pooler, where sessions are others' too and that is another process, nothing is set.
select
    set_config('enable_seqscan', 'off', false) as seqscan,
    set_config('jit', 'off', false) as jit
where pg_backend_pid() = $1::integer;
