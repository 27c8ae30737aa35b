-- delete_jobs: remove jobs that do not run.
--
-- Run when a user deletes, for each batch.
--
-- $1 ids bigint[]   $2 states job_state[]   (only those in one of these now; or null)
--
-- Returns the ids of those it removed.
delete from :"schema".jobs
where
    jobs.id = any($1::bigint[])
    and jobs.state <> 'running'
    and (
        cast($2 as :"schema".job_state[]) is null
        or jobs.state = any(cast($2 as :"schema".job_state[]))
    )
returning jobs.id;
