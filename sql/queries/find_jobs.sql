-- find_jobs: the newest jobs that fit a filter.
--
-- Run by dashboards and commands for a page of a list, and for each batch of what is done to
-- many jobs; planned for its values each time (see asyncjobs/storage/postgres/admin.py), so
-- that what is null costs nothing.
--
-- $1 ids bigint[]   $2 names text[]   $3 queues text[]   $4 states job_state[]
-- $5 tags text[]   (all of them)   $6 args text   (JSON that they contain)   $7 priorities text
-- $8 created_after timestamptz   $9 created_before timestamptz
-- $10 error text   (a part of an error's class and message)   $11 attempts text   (both ranges, as [1,50])
-- $12 schedules text[]   (runs of one of them)   $13 parent bigint   (what this job scheduled)
--     (null says nothing, here and above)
-- $14 after bigint   (below this id)   $15 limit integer   $16 looked_at bigint
-- $17 state job_state   (the only one, if it is one of which an index tells)
--
-- Returns up to limit rows, the highest id first: id and matches, and as
-- place how many were looked at. The row at which `looked_at` was reached is returned in
-- any case: then the list ends there, and goes on behind it.
select
    scanned.id,
    scanned.matches,
    scanned.place
from (
    select
        looked.id,
        looked.matches,
        row_number() over (order by looked.id desc) as place
    from (
        select
            jobs.id,
            (
                ($2::text[] is null or jobs.name = any($2::text[]))
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
            ) as matches
        from :"schema".jobs
        where
            ($14::bigint is null or jobs.id < $14::bigint)
            and (
                cast($17 as :"schema".job_state) is null
                or jobs.state = cast($17 as :"schema".job_state)
            )
            and ($1::bigint[] is null or jobs.id = any($1::bigint[]))
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
        order by jobs.id desc
        limit $16::bigint
    ) as looked
) as scanned
where scanned.matches or scanned.place = $16::bigint
order by scanned.id desc
limit $15::integer;
