-- sample_queue_states: about how many jobs of each queue are in each state.
--
-- Run by the dashboard for states that have more jobs than are counted one by one.
--
-- $1 pages double precision   (so many of the table are read, picked at random)
--
-- Returns queue, state, and jobs as the pages that were read let expect.
select
    jobs.queue,
    jobs.state::text as state,
    round(
        count(*) * greatest(
            pg_relation_size((quote_ident(:'schema') || '.jobs')::regclass)::double precision
            / ($1::double precision * current_setting('block_size')::integer),
            1
        )
    )::bigint as jobs
from :"schema".jobs
tablesample system (
    least(
        100,
        100 * $1::double precision * current_setting('block_size')::integer
        / greatest(pg_relation_size((quote_ident(:'schema') || '.jobs')::regclass), 1)
    )::real
)
group by jobs.queue, jobs.state
order by jobs.queue, jobs.state;
