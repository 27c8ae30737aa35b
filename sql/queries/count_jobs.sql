-- count_jobs: how many jobs there are by queue and state.
--
-- Run by `asyncjobs workoff` for its progress bar, and by people. Reads the whole table.
select
    jobs.queue,
    jobs.state::text as state,
    count(*) as jobs
from :"schema".jobs
group by jobs.queue, jobs.state;
