-- claim_after_by_name: claim_after, of some names only, or of all others: see claim_by_name.
--
-- Run by a worker whose claims by name from the head pass over many others.
--
-- $1 worker bigint   $2 queues text[]   $3 priorities smallint[]   $4 positions bigint[]
-- (same length: in this queue, at this priority, look behind this position)   $5 limit integer
-- $6 names text[]   $7 inside boolean: whether jobs of those names are wanted, or all but those
with claimant as materialized (
    select workers.id
    from :"schema".workers
    where
        workers.id = $1
        and set_config('synchronous_commit', 'off', true) is not null
    for key share of workers
),

heads as materialized (
    select
        mark.queue,
        mark.priority,
        mark.position as mark,
        head.position
    from unnest($2::text[], $3::smallint[], $4::bigint[]) as mark (queue, priority, position)
    cross join lateral (
        select jobs.position
        from :"schema".jobs
        cross join json_array_elements('[0]') as many
        where
            jobs.state = 'available'
            and jobs.queue = mark.queue
            and jobs.priority = mark.priority
            and jobs.position > mark.position
            and (jobs.name = any($6::text[])) = $7
        order by jobs.priority, jobs.position
        limit $5
    ) as head
    order by mark.priority, head.position
    limit $5
),

shares as materialized (
    select
        heads.queue,
        heads.priority,
        heads.mark,
        count(*) as jobs
    from heads
    group by heads.queue, heads.priority, heads.mark
)

update :"schema".jobs
set
    state = 'running',
    attempt = least(jobs.attempt, 32766) + 1,
    locked_by = $1,
    attempted_at = statement_timestamp()
where jobs.id = any(array(
    select picked.id
    from claimant, shares
    cross join lateral (
        select jobs.id
        from :"schema".jobs
        cross join json_array_elements('[0]') as many
        where
            jobs.state = 'available'
            and jobs.queue = shares.queue
            and jobs.priority = shares.priority
            and jobs.position > shares.mark
            and (jobs.name = any($6::text[])) = $7
        order by jobs.priority, jobs.position
        limit shares.jobs
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
