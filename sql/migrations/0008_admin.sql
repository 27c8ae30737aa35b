-- 0008_admin: find jobs by what they are, among millions of kept ones.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Only jobs that are kept after their end, or that have tags,
-- are in these indexes.
--
-- Building them takes about a second for a million rows, during which nothing can be stored.
create index jobs_final on :"schema".jobs (state, id)
where state in ('succeeded', 'failed', 'cancelled');

-- Written to directly, so that no search has to read what was not sorted in yet.
create index jobs_tags on :"schema".jobs using gin (tags) with (fastupdate = off)
where tags is not null;
