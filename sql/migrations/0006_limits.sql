-- 0006_limits: how many of some jobs may run at once, or start in a time.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. A job that is limited waits, in the state `waiting`, in the
-- line of a lane until it is let in and becomes available. Whatever a lane holds is counted
-- from the rows of its jobs, never kept as a number, so nothing that ends a job can forget to
-- release it.
--
-- Programs that know an earlier version only do not see what waits. What they do to limited
-- jobs: they run and finish those that were let in, and the next ones are let in by the sweep
-- of a later program; and they make a limited job that was due, or comes back for a retry,
-- available without asking its lanes. So let such programs end before limits are relied on.
alter type :"schema".job_state add value if not exists 'waiting' before 'available';

-- The indexes below do not name the new state: it cannot be used before it is committed.
alter table :"schema".jobs
-- The lane of its own, `key:...` or `job:...`: what it holds while it is available or running.
add column lane text,
-- The lane of its queue, `queue:...`, which it passes after its own.
add column queue_lane text,
-- The lane in whose line it stands; null unless the state is waiting.
add column waits_in text,
-- It goes on to hold its own lane while it waits for a retry.
add column lane_kept boolean;

-- The lines: what the admission reads, in its order.
create index jobs_waiting on :"schema".jobs (waits_in, priority, id) where waits_in is not null;
-- What the admission counts. A job that has passed its own lane waits for its queue's.
create index jobs_in_lane on :"schema".jobs (lane)
where
    lane is not null
    and state not in ('succeeded', 'failed', 'cancelled')
    and (
        state in ('available', 'running')
        or waits_in = queue_lane
        or (lane_kept and state = 'scheduled')
    );
create index jobs_in_queue_lane on :"schema".jobs (queue_lane)
where queue_lane is not null and state in ('available', 'running');

-- What is said of the jobs of one name, `job:...`, or of one queue, `queue:...`, by the program
-- that stored such a job last. A row of null limits nothing.
create table :"schema".limits (
    name text not null,
    -- How many may be let in at once: for each key of the job, or in all.
    concurrency integer,
    -- Of how many may start at once, and the seconds until one more may.
    burst integer,
    gap double precision,
    changed_at timestamptz not null default clock_timestamp(),
    constraint limits_pkey primary key (name)
);

-- One row a lane that was used in the last hours, or that is paused.
create table :"schema".lanes (
    name text not null,
    -- Since when nothing is let in; of a queue, since when nothing is claimed.
    paused_at timestamptz,
    -- Changes whenever something is let in: who looked before that looks again.
    version bigint not null default 0,
    -- When as many may start at once as ever may, unless one does before.
    full_at timestamptz,
    used_at timestamptz not null default clock_timestamp(),
    constraint lanes_pkey primary key (name)
);

create index lanes_paused on :"schema".lanes (name) where paused_at is not null;

alter table :"schema".lanes set (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 5000
);
