-- find_available: the available jobs that fit a filter, in the order in which each queue runs
-- them.
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
-- $14 after_queue text   $15 after_priority smallint   $16 after_position bigint
-- $17 limit integer   $18 looked_at bigint   $19 queue text   (the only one)
--
-- Returns up to limit rows, queue by queue: id and matches, and as
-- place how many were looked at, and queue, priority and
-- position. The row at which `looked_at` was reached is returned in
-- any case: then the list ends there, and goes on behind it.
select
    scanned.id,
    scanned.matches,
    scanned.place,
    scanned.queue,
    scanned.priority,
    scanned.position
from (
    select
        looked.id,
        looked.queue,
        looked.priority,
        looked.position,
        looked.matches,
        row_number() over (order by looked.queue, looked.priority, looked.position) as place
    from (
        select
            jobs.id,
            jobs.queue,
            jobs.priority,
            jobs.position,
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
            jobs.state = 'available'
            and ($19::text is null or jobs.queue = $19::text)
            and (
                $14::text is null
                or (jobs.queue, jobs.priority, jobs.position)
                > ($14::text, $15::smallint, $16::bigint)
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
        order by jobs.queue, jobs.priority, jobs.position
        limit $18::bigint
    ) as looked
) as scanned
where scanned.matches or scanned.place = $18::bigint
order by scanned.queue, scanned.priority, scanned.position
limit $17::integer;
