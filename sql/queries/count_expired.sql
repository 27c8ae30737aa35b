-- count_expired: how many jobs prune_retained and prune_ended would remove.
--
-- Run by `asyncjobs prune`, before it asks.
--
-- $1 queues text[]   $2 retain double precision (seconds; null: none of those)   $3 limit integer
--
-- Returns one row: those whose own time to be kept is over, up to the limit, and those that
-- ended so long ago and do not say how long to keep them, up to the limit in each queue. The
-- order makes the planner go by the index also where many rows fit.
select
    (
        select count(*)
        from (
            select 1
            from :"schema".jobs
            where
                jobs.finished_at is not null
                and jobs.retain is not null
                and timezone('UTC', jobs.finished_at) + jobs.retain <= timezone('UTC', now())
            order by timezone('UTC', jobs.finished_at) + jobs.retain
            limit $3
        ) as expired
    ) as retained,
    (
        select count(*)
        from unnest($1::text[]) as wanted (queue)
        cross join lateral (
            select 1
            from :"schema".jobs
            where
                jobs.queue = wanted.queue
                and jobs.finished_at is not null
                and jobs.retain is null
                and jobs.finished_at <= now() - $2 * interval '1 second'
            order by jobs.finished_at
            limit $3
        ) as expired
    ) as ended;
