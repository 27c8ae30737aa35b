-- 0007_unique: jobs that must not be stored twice.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. New columns are null and cost a plain job nothing: it is in
-- none of these indexes. A program that knows only the version before stores no unique jobs,
-- and runs, retries and gives back those it finds without losing their keys: the index follows
-- the state.
alter table :"schema".jobs
-- Equal for equal jobs: a hash of the job's name and of what must not be there twice.
add column unique_key bytea,
-- The states in which the key is taken. Without running, only until the job first starts.
add column unique_states :"schema".job_state[];

-- What storing a unique job reads and writes; holds those whose key is taken.
create unique index jobs_unique on :"schema".jobs (unique_key)
where
    unique_key is not null
    and state = any(unique_states)
    and (attempted_at is null or 'running' = any(unique_states));

-- One row for each key that is taken for a time, whatever becomes of its job.
create table :"schema".unique_keys (
    key bytea not null,
    job bigint not null,
    stored_at timestamptz not null,
    expires_at timestamptz not null,
    constraint unique_keys_pkey primary key (key)
);

-- What the removal of expired ones reads.
create index unique_keys_expired on :"schema".unique_keys (expires_at);

alter table :"schema".unique_keys set (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000
);
