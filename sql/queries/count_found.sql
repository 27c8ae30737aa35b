-- count_found: how many jobs fit a filter, up to a bound.
--
-- Run by dashboards and commands; planned for its values each time. Explained without a bound,
-- the planner's estimate is what is told of more.
--
-- $1 ids bigint[]   $2 names text[]   $3 queues text[]   $4 states job_state[]
-- $5 tags text[]   (all of them)   $6 args text   (JSON that they contain)   $7 priorities text
-- $8 created_after timestamptz   $9 created_before timestamptz
-- $10 error text   (a part of an error's class and message)   $11 attempts text   (both ranges, as [1,50])
-- $12 schedules text[]   (runs of one of them)   $13 parent bigint   (what this job scheduled)
--     (null says nothing, here and above)
-- $14 most bigint   (or null)
select count(*) as jobs
from (
    select
    from :"schema".jobs
    where
        ($1::bigint[] is null or jobs.id = any($1::bigint[]))
        and ($5::text[] is null or jobs.tags @> $5::text[])
        and (
            $12::text[] is null
            or jobs.schedule = any($12::text[]) -- since: 9
        )
        and (
            $13::bigint is null
            or jobs.parent_id = $13::bigint -- since: 13
        )
        and ( -- since: 6
            cast($4 as :"schema".job_state[]) is distinct from '{waiting}' -- since: 6
            or jobs.waits_in is not null -- since: 6
        ) -- since: 6
        and ($2::text[] is null or jobs.name = any($2::text[]))
        and ($3::text[] is null or jobs.queue = any($3::text[]))
        and (cast($4 as :"schema".job_state[]) is null or jobs.state = any(cast($4 as :"schema".job_state[])))
        and ($6::text is null or jobs.args @> $6::text::jsonb)
        and ($7::text is null or jobs.priority::integer <@ $7::text::int4range)
        and ($8::timestamptz is null or jobs.created_at >= $8::timestamptz)
        and ($9::timestamptz is null or jobs.created_at < $9::timestamptz)
        and (
            $10::text is null
            or exists (
                select
                from jsonb_path_query(jobs.errors, '$[*]') as told (error)
                where strpos(
                    lower(concat(told.error ->> 'error', ': ', told.error ->> 'message')),
                    lower($10::text)
                ) > 0
            )
        )
        and ($11::text is null or jobs.attempt::integer <@ $11::text::int4range)
    limit $14::bigint
) as found;
