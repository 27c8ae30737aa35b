-- plan_by_index: have this session's statements planned once, for a table that is about to grow.
--
-- Run once on each connection for the hot path. A plan that was made while the table was small
-- reads it from end to end, and is kept: after a rush of a million jobs each claim would go on
-- to do so until the next autovacuum. And where the planner expects a little more of a plan for
-- the values at hand, it makes one anew for each claim, which takes longer than the claim.
--
-- $1 pid integer   (the process that the connection was told of)
--
-- Behind a pooler, where sessions are others' too and that is another process, nothing is set.
select
    set_config('enable_seqscan', 'off', false) as seqscan,
    set_config('plan_cache_mode', 'force_generic_plan', false) as plans,
    set_config('jit', 'off', false) as jit
where pg_backend_pid() = $1::integer;
