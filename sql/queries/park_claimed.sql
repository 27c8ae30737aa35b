-- park_claimed: put jobs that were claimed although they are paused into the line to wait in.
--
-- Run by a worker that has claimed such jobs: they came after the pause.
--
-- $1 worker bigint   $2 ids bigint[], ascending   $3 attempts smallint[]   $4 lanes text[]
-- (same length: the lane that is paused)
--
-- Returns the ids; fenced as finish_by_delete is. The attempt has not begun and is not counted.
update :"schema".jobs
set
    state = cast(case
        when jobs.cancel_requested then 'cancelled'
        else 'waiting'
    end as :"schema".job_state),
    waits_in = case
        when not jobs.cancel_requested
            then ($4::text[])[width_bucket(jobs.id, $2::bigint[])]
    end,
    finished_at = case when jobs.cancel_requested then clock_timestamp() end,
    attempt = jobs.attempt - 1,
    locked_by = null
where
    jobs.id = any($2::bigint[])
    and jobs.attempt = ($3::smallint[])[width_bucket(jobs.id, $2::bigint[])]
    and coalesce(jobs.locked_by = $1::bigint, false)
returning jobs.id;
