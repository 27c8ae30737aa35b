-- claim_by_name: claim_jobs, of some names only, or of all others.
--
-- Run by a worker that has too many jobs of one kind to start them, in threads or processes:
-- it then claims that kind apart, and the others beside it. Reads what stands before those that
-- it wants: where that is much, it is run now and then, and claim_after_by_name in between.
--
-- $1 worker bigint   $2 queues text[]   $3 limit integer   $4 names text[]
-- $5 inside boolean: whether jobs of those names are wanted, or all but those
--
-- Returns what claim_jobs returns; there is told how it works, and what `many` is for.
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
        head.queue,
        head.priority,
        head.position
    from unnest($2::text[]) as wanted (queue)
    cross join lateral (
        select
            jobs.queue,
            jobs.priority,
            jobs.position
        from :"schema".jobs
        cross join json_array_elements('[0]') as many
        where jobs.state = 'available' and jobs.queue = wanted.queue
            and (jobs.name = any($4::text[])) = $5
        order by jobs.priority, jobs.position
        limit $3
    ) as head
    order by head.priority, head.position
    limit $3
),

shares as materialized (
    select
        heads.queue,
        count(*) as jobs
    from heads
    group by heads.queue
),

claimed as (
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
            where jobs.state = 'available' and jobs.queue = shares.queue
                and (jobs.name = any($4::text[])) = $5
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
)

select
    counted.seen,
    claimed.*
from (select count(*) as seen from heads) as counted
left join claimed on true;
