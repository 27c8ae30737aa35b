-- clear_jobs: remove all jobs, running ones too, and all keys that are taken for a time.
--
-- Run by `asyncjobs clear`. Not truncate: that would wait for every open transaction, and
-- let every worker wait for it.
with removed as (
    delete from :"schema".jobs
    returning id
)

, keys as (delete from :"schema".unique_keys) -- since: 7

select count(*) from removed;
