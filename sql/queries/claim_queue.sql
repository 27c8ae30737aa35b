-- claim_queue: claim_jobs for a worker of a single queue, which needs no look at the others.
-- What `many` is for is told there.
--
-- $1 worker bigint   $2 queue text   $3 limit integer
with claimant as materialized (
    select workers.id
    from :"schema".workers
    where
        workers.id = $1
        and set_config('synchronous_commit', 'off', true) is not null
    for key share of workers
)

update :"schema".jobs
set
    state = 'running',
    attempt = least(jobs.attempt, 32766) + 1,
    locked_by = $1,
    attempted_at = statement_timestamp()
where jobs.id = any(array(
    select picked.id
    from claimant
    cross join lateral (
        select jobs.id
        from :"schema".jobs
        cross join json_array_elements('[0]') as many
        where jobs.state = 'available' and jobs.queue = $2 and claimant.id is not null
        order by jobs.priority, jobs.position
        limit $3
        for update of jobs skip locked
    ) as picked
))
returning
    jobs.id,
    jobs.name,
    jobs.queue,
    jobs.priority,
    jobs.attempt,
    greatest(least(jobs.run_at, '9998-12-31 00:00Z'), '0002-01-01 00:00Z') as run_at,
    jobs.args::text as args,
    jobs.position,
    coalesce(
        jsonb_array_length(
            jsonb_path_query_array(jobs.errors, '$[*] ? (@.error == "WorkerLost")')
        ),
        0
    ) as losses
    , case -- since: 2
        when jobs.expires_at < statement_timestamp() then '{"expired": true}' -- since: 2
        else jobs.extra::text -- since: 2
    end as extra -- since: 2
;
