-- 0015_news: what `enqueue` stores is told of with its position, as what programs store.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Workers that look behind where their last claims ended go
-- back to it, instead of meeting it by their next look from the head: it may stand before that
-- place, if its transaction was committed late. Programs from before do not read it.
create or replace function :"schema".enqueue_news(job :"schema".jobs) returns void
language plpgsql as $$
declare
    channel text := 'asyncjobs_' || current_schema;
begin
    if octet_length(channel) > 63 then
        channel := 'asyncjobs_'
            || left(encode(sha256(convert_to(current_schema, 'UTF8')), 'hex'), 32);
    end if;
    perform pg_notify(channel, json_strip_nulls(json_build_object(
        -- Before all else, as workers look for it there. One that is new has its id as its
        -- position.
        'first', case when job.state = 'available' then coalesce(job.position, job.id) end,
        'ready', case when job.state = 'available' then json_build_array(job.queue) end,
        'priority', case when job.state = 'available' then job.priority end,
        'due', case when job.state = 'scheduled' then extract(epoch from job.run_at) end,
        'lanes', case when job.state = 'waiting' then json_build_array(job.waits_in) end
    ))::text);
exception when undefined_function or feature_not_supported then
    null;  -- a server without it: workers poll
end
$$;
