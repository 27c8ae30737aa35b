-- 0016_queue_names: `enqueue` takes no queue whose name no index can hold.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. A job that is to run later was stored with it, and could then
-- neither be made available nor let any other become so. Programs have always refused such names,
-- and "*", which stands for all queues.
create or replace function :"schema".enqueue_problem_of_job(
    name text, args jsonb, queue text, priority integer, tags text[], meta jsonb
) returns text
language plpgsql stable as $$
begin
    return case
        when name is null or name = '' then 'name must be that of a job, got nothing'
        when jsonb_typeof(args) <> 'object' then format(
            'args must be a JSON object, the job''s parameters by name, got %s: %s',
            jsonb_typeof(args), left(args::text, 60)
        )
        when queue in ('', '*') then format(
            'queue must be the name of a queue, got %s', coalesce(nullif(queue, ''), 'nothing')
        )
        when octet_length(queue) > 1000 then format(
            'queue must have at most 1000 bytes, got %s', octet_length(queue)
        )
        when priority not between -32767 and 32767 then format(
            'priority must be a whole number from -32767 to 32767, got %s', priority
        )
        when cardinality(tags) > 50
            then format('a job has at most 50 tags, got %s', cardinality(tags))
        when array_position(tags, null) is not null then 'tags must be texts, got null'
        when jsonb_typeof(meta) <> 'object' then format(
            'meta must be a JSON object, got %s: %s', jsonb_typeof(meta), left(meta::text, 60)
        )
        else (
            select min(enqueue_problem_of_text('a tag', tag, 200)) from unnest(tags) as given (tag)
        )
    end;
end
$$;
