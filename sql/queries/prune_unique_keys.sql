-- prune_unique_keys: remove keys whose time is over.
--
-- Run now and then by programs that store jobs with unique_for.
--
-- $1 limit integer
with removed as (
    delete from :"schema".unique_keys
    where unique_keys.key = any(array(
        select expired.key
        from :"schema".unique_keys as expired
        where expired.expires_at <= now()
        order by expired.expires_at
        limit $1
        for update skip locked
    ))
    returning unique_keys.key
)

select count(*) from removed;
