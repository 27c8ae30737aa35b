-- enqueue_unique: enqueue_special for a batch in which a job is unique.
--
-- Run by every program that schedules such jobs, once for each batch of calls, and again for
-- those without an answer.
--
-- $1 jobs text   (as for enqueue_special, no unique_key twice, and:
--     unique_key (hexadecimal), unique_states (a list), period (seconds),
--     on_conflict (ignore, replace or reschedule))
-- $2 channel text
-- $3 patience text   (how long another's open transaction is waited for; null: as it is set)
--
-- Returns for each job, in the order of the list: id, state, run_at, is_new, queue and priority
-- of what was stored or exists. An id of null means that another transaction was faster, so
-- recently that this statement cannot see what it did: run it again for that job. A state of
-- null means that the job is gone, but its key is taken for a time.
--
-- Who is first is decided by the unique indexes alone. New jobs are stored in the order of
-- their keys, and waiting ones are changed after that in the order of their ids, so that two
-- batches cannot wait for each other.
with setting as materialized (
    select
        current_setting('lock_timeout') as usual,
        case
            when $3::text is not null then set_config('lock_timeout', $3::text, true)
        end as patience
),

asked as materialized (
    select
        nextval((select (quote_ident(:'schema') || '.jobs_id_seq')::regclass)) as id,
        new.name,
        new.queue,
        new.priority,
        new.args::jsonb as args,
        new.tags,
        new.extra::jsonb as extra,
        coalesce(
            new.expires_at, statement_timestamp() + new.expires * interval '1 second'
        ) as expires_at,
        new.retain * interval '1 second' as retain,
        new.lane,
        new.queue_lane,
        new.schedule,
        new.tick,
        new.parent_id,
        decode(new.unique_key, 'hex') as key,
        new.unique_states as states,
        new.period * interval '1 second' as period,
        new.on_conflict,
        coalesce(
            new.moment,
            statement_timestamp() + new.wait * interval '1 second',
            statement_timestamp()
        ) as run_at,
        new.place
    from setting
    cross join rows from (
        jsonb_to_recordset($1::text::jsonb) as (
            name text, queue text, priority smallint, args text,
            wait double precision, moment timestamptz,
            tags text[], extra text,
            expires double precision, expires_at timestamptz,
            retain double precision, lane text, queue_lane text,
            schedule text, tick timestamptz, parent_id bigint,
            unique_key text, unique_states :"schema".job_state[], period double precision, on_conflict text
        )
    ) with ordinality as new (
        name, queue, priority, args, wait, moment, tags, extra, expires, expires_at,
        retain, lane, queue_lane, schedule, tick, parent_id, unique_key, unique_states, period,
        on_conflict, place
    )
    order by new.place
),

-- The jobs that have these keys: one look into the index for each.
held as materialized (
    select
        asked.id as new_id,
        asked.key,
        asked.on_conflict,
        one.*
    from asked
    cross join lateral (
        select
            jobs.id,
            jobs.state,
            jobs.run_at,
            jobs.queue,
            jobs.priority
        from :"schema".jobs
        where
            jobs.unique_key = asked.key
            and jobs.unique_key is not null
            and jobs.state = any(jobs.unique_states)
            and (jobs.attempted_at is null or 'running' = any(jobs.unique_states))
        limit 1
    ) as one
),

-- The keys that are taken for a time, and what became of the job that took them.
recent as materialized (
    select
        asked.key,
        one.*
    from asked
    cross join lateral (
        select
            taken.job as id,
            job.state,
            coalesce(job.run_at, taken.stored_at) as run_at,
            job.queue,
            job.priority
        from :"schema".unique_keys as taken
        left join lateral (
            select
                jobs.state,
                jobs.run_at,
                jobs.queue,
                jobs.priority
            from :"schema".jobs
            where jobs.id = taken.job
            limit 1
        ) as job on true
        where taken.key = asked.key and taken.expires_at > statement_timestamp()
        limit 1
    ) as one
    where asked.period is not null
),

-- What nobody seems to have. The unique indexes decide.
fresh as materialized (
    select asked.*
    from asked
    where
        not exists (select from held where held.key = asked.key)
        and not exists (select from recent where recent.key = asked.key)
),

taken as (
    insert into :"schema".unique_keys as known (key, job, stored_at, expires_at)
    select
        fresh.key,
        fresh.id,
        statement_timestamp(),
        statement_timestamp() + fresh.period
    from fresh
    where fresh.period is not null
    order by fresh.key
    on conflict (key) do update
    set
        job = excluded.job,
        stored_at = excluded.stored_at,
        expires_at = excluded.expires_at
    where known.expires_at <= statement_timestamp()
    returning known.key
),

stored as (
    insert into :"schema".jobs (
        id, position, name, queue, priority, args, run_at, state, tags, extra, expires_at,
        retain, lane, queue_lane, waits_in, unique_key, unique_states
        , schedule, tick -- since: 9
        , parent_id -- since: 13
    )
    select
        fresh.id,
        fresh.id,
        fresh.name,
        fresh.queue,
        fresh.priority,
        fresh.args,
        fresh.run_at,
        cast(case
            when fresh.run_at > statement_timestamp() then 'scheduled'
            when coalesce(fresh.lane, fresh.queue_lane) is not null then 'waiting'
            else 'available'
        end as :"schema".job_state),
        fresh.tags,
        fresh.extra,
        fresh.expires_at,
        fresh.retain,
        fresh.lane,
        fresh.queue_lane,
        case
            when fresh.run_at <= statement_timestamp()
                then coalesce(fresh.lane, fresh.queue_lane)
        end,
        fresh.key,
        fresh.states
        , fresh.schedule, fresh.tick -- since: 9
        , fresh.parent_id -- since: 13
    from fresh
    left join taken on fresh.key = taken.key
    where fresh.period is null or taken.key is not null
    order by fresh.key
    on conflict (unique_key) where
        unique_key is not null
        and state = any(unique_states)
        and (attempted_at is null or 'running' = any(unique_states))
    do nothing
    returning id, state, run_at, queue, priority
),

-- The waiting jobs that are to be changed, after all new ones are stored.
wanted as materialized (
    select
        held.id,
        held.new_id,
        held.key
    from (select count(*) as jobs from stored) as done
    cross join held
    where
        done.jobs >= 0
        and held.on_conflict in ('replace', 'reschedule')
    order by held.id
),

waiting as materialized (
    select
        wanted.new_id,
        one.*
    from wanted
    cross join lateral (
        select jobs.*
        from :"schema".jobs
        where
            jobs.id = wanted.id
            and jobs.unique_key = wanted.key
            and jobs.state in ('scheduled', 'waiting', 'available')
            and (jobs.attempted_at is null or 'running' = any(jobs.unique_states))
        limit 1
        for update of jobs
    ) as one
),

-- Where each of them goes: one that is due and is let into its lanes already stays there.
aims as materialized (
    select
        waiting.new_id,
        case asked.on_conflict when 'replace' then asked.lane else waiting.lane end as lane,
        case asked.on_conflict
            when 'replace' then asked.queue_lane
            else waiting.queue_lane
        end as queue_lane,
        asked.run_at > statement_timestamp() as is_future,
        waiting.state <> 'scheduled'
        and (
            asked.on_conflict <> 'replace'
            or (asked.lane, asked.queue_lane) is not distinct from (waiting.lane, waiting.queue_lane)
        ) as stays
    from waiting
    inner join asked on waiting.new_id = asked.id
),

-- One that stays available keeps its place. One that was tried before and is replaced begins
-- anew: attempts so far do not count. Who follows it follows it still. Each is there, and
-- locked: the conflict is certain, and leads to its row by the primary key, whatever a plan
-- expects of the table.
changed as (
    insert into :"schema".jobs (
        id, position, name, queue, priority, args, run_at, state, tags, extra, expires_at,
        retain, lane, queue_lane, lane_kept, waits_in, unique_states
        , schedule, tick -- since: 9
        , parent_id -- since: 13
    )
    select
        waiting.id,
        case
            when waiting.state = 'available' and not aims.is_future then waiting.position
            else asked.id
        end,
        waiting.name,
        case asked.on_conflict when 'replace' then asked.queue else waiting.queue end,
        case asked.on_conflict when 'replace' then asked.priority else waiting.priority end,
        case asked.on_conflict when 'replace' then asked.args else waiting.args end,
        asked.run_at,
        cast(case
            when aims.is_future then 'scheduled'
            when aims.stays then waiting.state::text
            when coalesce(aims.lane, aims.queue_lane) is not null then 'waiting'
            else 'available'
        end as :"schema".job_state),
        case asked.on_conflict when 'replace' then asked.tags else waiting.tags end,
        case
            when asked.on_conflict <> 'replace' then waiting.extra
            else nullif(
                coalesce(asked.extra, '{}') || jsonb_strip_nulls(jsonb_build_object(
                    'before', nullif(waiting.attempt, 0), 'watched', waiting.extra -> 'watched'
                )),
                '{}'
            )
        end,
        case asked.on_conflict when 'replace' then asked.expires_at else waiting.expires_at end,
        case asked.on_conflict when 'replace' then asked.retain else waiting.retain end,
        aims.lane,
        aims.queue_lane,
        case when aims.is_future and asked.on_conflict <> 'replace' then waiting.lane_kept end,
        case
            when aims.is_future then null
            when aims.stays then waiting.waits_in
            else coalesce(aims.lane, aims.queue_lane)
        end,
        case asked.on_conflict when 'replace' then asked.states else waiting.unique_states end
        , case asked.on_conflict when 'replace' then asked.schedule else waiting.schedule end -- since: 9
        , case asked.on_conflict when 'replace' then asked.tick else waiting.tick end -- since: 9
        , case asked.on_conflict when 'replace' then asked.parent_id else waiting.parent_id end -- since: 13
    from waiting
    inner join aims on waiting.new_id = aims.new_id
    inner join asked on waiting.new_id = asked.id
    on conflict (id) do update
    set
        run_at = excluded.run_at,
        state = excluded.state,
        position = excluded.position,
        lane = excluded.lane,
        queue_lane = excluded.queue_lane,
        lane_kept = excluded.lane_kept,
        waits_in = excluded.waits_in,
        retain = excluded.retain,
        queue = excluded.queue,
        priority = excluded.priority,
        args = excluded.args,
        tags = excluded.tags,
        schedule = excluded.schedule, -- since: 9
        tick = excluded.tick, -- since: 9
        parent_id = excluded.parent_id, -- since: 13
        extra = excluded.extra,
        expires_at = excluded.expires_at,
        unique_states = excluded.unique_states
    returning id, state, run_at, queue, priority
),

-- A key that was taken for a time by a job that a faster one's of that key then kept out.
corrected as (
    update :"schema".unique_keys as known
    set job = held.id
    from held, asked
    where
        asked.key = held.key
        and asked.period is not null
        and known.key = held.key
        and known.job <> held.id
    returning known.key
),

answers as materialized (
    select
        asked.place,
        case
            when stored.id is not null then stored.id
            when changed.id is not null then changed.id
            -- It waited when the statement began, and was gone when it was to be changed.
            when
                asked.on_conflict <> 'ignore'
                and held.state in ('scheduled', 'waiting', 'available')
                then null
            else coalesce(held.id, recent.id)
        end as id,
        coalesce(stored.state, changed.state, held.state, recent.state) as state,
        coalesce(stored.run_at, changed.run_at, held.run_at, recent.run_at) as run_at,
        stored.id is not null as is_new,
        coalesce(stored.queue, changed.queue, held.queue, recent.queue) as queue,
        coalesce(stored.priority, changed.priority, held.priority, recent.priority) as priority,
        stored.id is not null or changed.id is not null as is_news
    from asked
    left join stored on asked.id = stored.id
    left join held on asked.key = held.key
    left join changed on held.id = changed.id
    left join recent on asked.key = recent.key
),

news as (
    select
        pg_notify($2, json_strip_nulls(json_build_object(
            'first', min(id) filter (where state = 'available'),
            'ready', array_agg(distinct queue) filter (where state = 'available'),
            'priority', min(priority) filter (where state = 'available'),
            'due', extract(epoch from min(run_at) filter (where state = 'scheduled')),
            'lanes', case when bool_or(state = 'waiting') then array['*'] end
        ))::text) as sent
    from answers
    where is_news
    having count(*) > 0
),

-- The commit waits for those of all who notify, as long as that takes.
patient as materialized (
    select set_config('lock_timeout', setting.usual, true) as done
    from setting
    where
        setting.patience is not null
        and (select count(*) from answers) >= 0
        and (select count(*) from corrected) >= 0
        and (select count(*) from news) >= 0
)

select
    answers.id,
    answers.state::text as state,
    answers.run_at,
    answers.is_new,
    answers.queue,
    answers.priority
from answers
left join news on true
left join patient on true
order by answers.place;
