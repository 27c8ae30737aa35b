-- 0002_features: what few jobs ask for: tags, and what their workers must know of them.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. New columns are null and cost a plain job nothing; programs
-- that know version 1 only go on working.
alter table :"schema".jobs
-- Words to find jobs by.
add column tags text[],
-- What the worker, or a reader, must know of this job beyond its arguments; an object.
--   meta: the user's own
--   context: what is carried from where the job was scheduled
add column extra jsonb,
-- Not started by then, the job is not needed any more.
add column expires_at timestamptz;
