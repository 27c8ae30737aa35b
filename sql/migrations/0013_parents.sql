-- 0013_parents: which job scheduled a job.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs from before go on working: what their jobs schedule
-- has no parent, as anything that is scheduled outside of a job.
alter table :"schema".jobs
-- The job that scheduled this one while it ran, be its row still there or not.
add column parent_id bigint;

-- The jobs that a job scheduled, in their order. Others are not in it. It is built under a lock
-- that writers wait for, and holds nothing yet.
create index jobs_children on :"schema".jobs (parent_id, id) where parent_id is not null;
