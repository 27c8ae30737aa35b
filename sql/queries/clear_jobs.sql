-- clear_jobs: remove all jobs, running ones too.
--
-- Run by `asyncjobs clear`. Not truncate: that would wait for every open transaction, and
-- let every worker wait for it.
with removed as (
    delete from :"schema".jobs
    returning id
)

select count(*) from removed;
