-- reschedule_jobs: set the time of jobs that wait.
--
-- Run when a user reschedules, for each batch.
--
-- $1 ids bigint[]   $2 states job_state[]   (only those in one of these now; or null)
-- $3 wait double precision   (seconds, or null)   $4 moment timestamptz   (or null)
-- $5 channel text
--
-- Returns the ids of those that wait, for their time or for a worker; what has passed means
-- now. One that becomes available goes to the end of its queue, a limited one into the line of
-- its lane; one that was there already keeps its place.
-- (There is no join with `placed`, which could be made in a wrong way: by statistics of the empty
-- table it would read the whole table. The arrays are made once, and are looked into.)
-- (`coalesce` keeps the planner from the indexes of single states, for the same reason.)
with wanted as materialized (
    select jobs.id
    from :"schema".jobs
    where
        jobs.id = any($1::bigint[])
        and coalesce(jobs.state in ('scheduled', 'waiting', 'available'), false)
        and (
            cast($2 as :"schema".job_state[]) is null
            or coalesce(jobs.state = any(cast($2 as :"schema".job_state[])), false)
        )
    order by jobs.id
    for update
),

placed as materialized (
    select
        wanted.id,
        nextval((select (quote_ident(:'schema') || '.jobs_id_seq')::regclass)) as position
    from wanted
),

moment as materialized (
    select
        coalesce(
            $4::timestamptz,
            statement_timestamp() + $3::double precision * interval '1 second'
        ) as run_at
),

changed as (
    update :"schema".jobs
    set
        state = cast(case
            when moment.run_at > statement_timestamp() then 'scheduled'
            when jobs.state <> 'scheduled' then jobs.state::text
            when coalesce(jobs.lane, jobs.queue_lane) is not null then 'waiting'
            else 'available'
        end as :"schema".job_state),
        waits_in = case
            when moment.run_at > statement_timestamp() then null
            when jobs.state <> 'scheduled' then jobs.waits_in
            else coalesce(jobs.lane, jobs.queue_lane)
        end,
        lane_kept = case
            when jobs.state = 'scheduled' and moment.run_at > statement_timestamp()
                then jobs.lane_kept
        end,
        run_at = moment.run_at,
        position = case
            when jobs.state <> 'scheduled' and moment.run_at <= statement_timestamp()
                then jobs.position
            else (array(select placed.position from placed order by placed.id))[
                width_bucket(jobs.id, array(select placed.id from placed order by placed.id))
            ]
        end
    from moment
    where jobs.id = any(array(select placed.id from placed))
    returning jobs.id, jobs.queue, jobs.priority, jobs.position, jobs.state, jobs.run_at
),

news as (
    select
        pg_notify($5, json_strip_nulls(json_build_object(
            'first', min(position) filter (where state = 'available'),
            'ready', case
                when octet_length(json_agg(distinct queue) filter (where state = 'available')::text) > 4000
                    then array['*']
                else array_agg(distinct queue) filter (where state = 'available')
            end,
            'priority', min(priority) filter (where state = 'available'),
            'due', extract(epoch from min(run_at) filter (where state = 'scheduled')),
            'lanes', case when bool_or(state = 'waiting') then array['*'] end
        ))::text) as sent
    from changed
    having count(*) > 0
)

select changed.id
from changed
left join news on true
order by changed.id;
