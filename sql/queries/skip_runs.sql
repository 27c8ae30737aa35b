-- skip_runs: note that ticks made no run, because an equal unique job exists.
--
-- Run by a worker after advance_schedules and enqueue_unique in the same transaction, if that
-- is so.
--
-- $1 names text[]   (each once)
-- $2 last_at text[]   $3 last_results text[]   (of the last tick that made a run)
-- $4 skipped_at timestamptz[]   (of the last that made none; all of the same length)
update :"schema".schedules
set
    last_at = told.last_at::timestamptz,
    last_result = told.last_result,
    skipped_at = greatest(schedules.skipped_at, told.skipped_at)
from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
    as told (name, last_at, last_result, skipped_at)
where schedules.name = told.name;
