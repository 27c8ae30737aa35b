-- retry_jobs: let jobs run now that have ended, or wait for their time.
--
-- Run when a user retries, for each batch.
--
-- $1 ids bigint[]   $2 states job_state[]   (only those in one of these now; or null)
-- $3 args text   (JSON that takes the place of their arguments; or null)
-- $4 unique_key text   (hexadecimal, the key that goes with these; or null)
-- $5 lane text   (JSON: lane, the one of its own that goes with these, or null for none, and
--     strict; or null: it stays, as it does where it is this one)   $6 channel text
--
-- Returns id of each job that may be retried, and held_by: null if it is available now, else
-- the job that has its unique key. Of several with one key the newest is retried. One that had
-- ended begins anew: `before` tells its worker how many attempts do not count. One that is
-- available, or waits in the line of a lane, is touched only to get other arguments; limited
-- ones go into the line of their lane. One that gets another lane has to be let in by that, even
-- if it was let in already; what is paused stays where it waits for the end of that. One that
-- has expired does not any more.
-- (There is no join with `placed`, which could be made in a wrong way: by statistics of the empty
-- table it would read the whole table. The arrays are made once, and are looked into.)
with wanted as materialized (
    select
        jobs.id,
        jobs.state,
        case
            when jobs.attempted_at is null or 'running' = any(jobs.unique_states)
                then coalesce(decode($4::text, 'hex'), jobs.unique_key)
        end as key
    from :"schema".jobs
    where
        jobs.id = any($1::bigint[])
        and jobs.state <> 'running'
        and (jobs.state not in ('available', 'waiting') or $3::text is not null)
        and (
            cast($2 as :"schema".job_state[]) is null
            or jobs.state = any(cast($2 as :"schema".job_state[]))
        )
    order by jobs.id
    for update
),

judged as materialized (
    select
        wanted.id,
        coalesce(
            (
                select jobs.id
                from :"schema".jobs
                where
                    jobs.unique_key = wanted.key
                    and jobs.unique_key is not null
                    and jobs.state = any(jobs.unique_states)
                    and (jobs.attempted_at is null or 'running' = any(jobs.unique_states))
                    and jobs.id <> wanted.id
                limit 1
            ),
            case
                when wanted.key is not null
                    then nullif(max(wanted.id) over (partition by wanted.key), wanted.id)
            end
        ) as held_by
    from wanted
),

placed as materialized (
    select
        allowed.id,
        nextval((select (quote_ident(:'schema') || '.jobs_id_seq')::regclass)) as position
    from (
        select judged.id
        from judged
        where judged.held_by is null
        order by judged.id
    ) as allowed
),

changed as (
    update :"schema".jobs
    set
        (state, waits_in) = (
            select
                cast(case
                    when next.lane is null then 'available'
                    else 'waiting'
                end as :"schema".job_state),
                next.lane
            from (
                select case
                    when jobs.state not in ('available', 'waiting')
                        then coalesce(own.lane, jobs.queue_lane)
                    when
                        own.lane is not distinct from jobs.lane
                        or coalesce(jobs.waits_in not in (
                            coalesce(jobs.lane, ''), coalesce(jobs.queue_lane, '')
                        ), false)
                        then jobs.waits_in
                    when own.lane is not null then own.lane
                    when jobs.waits_in = jobs.lane then jobs.queue_lane
                    else jobs.waits_in
                end as lane
                from (
                    select case
                        when $5::text is null then jobs.lane
                        else $5::text::jsonb ->> 'lane'
                    end as lane
                ) as own
                offset 0
            ) as next
        ),
        lane = case when $5::text is null then jobs.lane else $5::text::jsonb ->> 'lane' end,
        lane_kept = null,
        run_at = case
            when jobs.state in ('available', 'waiting') then jobs.run_at
            else clock_timestamp()
        end,
        position = case
            when
                jobs.state = 'available'
                or (jobs.state = 'waiting' and (
                    $5::text is null or $5::text::jsonb ->> 'lane' is not distinct from jobs.lane
                ))
                then jobs.position
            else (array(select placed.position from placed order by placed.id))[
                width_bucket(jobs.id, array(select placed.id from placed order by placed.id))
            ]
        end,
        finished_at = null,
        expires_at = case when jobs.expires_at > clock_timestamp() then jobs.expires_at end,
        cancel_requested = false,
        interrupt = false,
        args = coalesce($3::text::jsonb, jobs.args),
        unique_key = coalesce(decode($4::text, 'hex'), jobs.unique_key),
        extra = case
            when $5::text is null or $5::text::jsonb ->> 'lane' is not distinct from jobs.lane
                then case
                    when jobs.finished_at is null or jobs.attempt = 0 then jobs.extra
                    else coalesce(jobs.extra, '{}') || jsonb_build_object('before', jobs.attempt)
                end
            else (coalesce(jobs.extra, '{}') - 'strict') || jsonb_strip_nulls(jsonb_build_object(
                'lanes', array_remove(array[$5::text::jsonb ->> 'lane', jobs.queue_lane], null),
                'strict', nullif($5::text::jsonb -> 'strict', 'false'),
                'before', case
                    when jobs.finished_at is not null and jobs.attempt > 0 then jobs.attempt
                end
            ))
        end
    where jobs.id = any(array(select placed.id from placed))
    returning jobs.queue, jobs.priority, jobs.position, jobs.waits_in
),

news as (
    select
        pg_notify($6, json_strip_nulls(json_build_object(
            'first', min(position) filter (where waits_in is null),
            'ready', case
                when octet_length(json_agg(distinct queue) filter (where waits_in is null)::text) > 4000
                    then array['*']
                else array_agg(distinct queue) filter (where waits_in is null)
            end,
            'priority', min(priority) filter (where waits_in is null),
            'lanes', case
                when bool_or(waits_in is not null) or $5::text is not null then array['*']
            end
        ))::text) as sent
    from changed
    having count(*) > 0
)

select
    judged.id,
    judged.held_by
from judged
left join news on true
order by judged.id;
