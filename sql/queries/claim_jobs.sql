-- claim_jobs: give the most urgent available jobs to one worker.
--
-- Run by every worker whenever it has room: up to some hundred times a second.
--
-- $1 worker bigint   $2 queues text[]   $3 limit integer
--
-- Returns the claimed jobs in no order, each beside `seen`: how many jobs stood at the heads.
-- If there are none, one row of nulls beside `seen`. Fewer jobs than were seen means that
-- another worker was at the same heads, and that queues behind them may not have been reached:
-- look again soon. The commit is not waited for: a claim that a crash loses leaves the job
-- available. A worker that was declared dead has no row in workers any more and gets nothing;
-- the lock on its row keeps a rescue from passing between the check and the claim.
--
-- Which jobs: `heads` looks, without locks, at the first jobs of every queue and finds how
-- many of them each queue contributes; then each queue gives so many, passing over what
-- others have locked. So no more rows are locked than are claimed, and an index gives the
-- order of each queue.
--
-- `many` is one row, which the planner takes for a hundred: so it expects many jobs in any case,
-- and has the index give their order. By statistics of the empty table it would expect one, and
-- read and sort all that wait for each claim.
--
-- A row that somebody edited into nonsense must not stop the others: its attempt stays in the
-- column's range, and what is returned of run_at is a moment that every client knows.
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
