-- examine_holders: what keeps dead rows from being removed in this database.
--
-- Run by `asyncjobs doctor`, once.
--
-- Returns a row for each: kind (transaction, prepared, slot or standby), name (what to end it
-- by), whose (application and user), seconds since it began (null for slots and standbys), age
-- (how many transactions began since what it keeps, or null) and is_idle (a transaction that
-- does nothing). What did not begin in the last second is left out, and so is this session.
select
    'transaction' as kind,
    activity.pid::text as name,
    format('%s, user %s', coalesce(nullif(activity.application_name, ''), '?'), activity.usename)
        as whose,
    extract(epoch from clock_timestamp() - activity.xact_start)::double precision as seconds,
    greatest(age(activity.backend_xmin), age(activity.backend_xid)) as age,
    activity.state like 'idle in transaction%' as is_idle
from pg_stat_activity as activity
where
    activity.datname = current_database()
    and activity.pid <> pg_backend_pid()
    and activity.backend_type = 'client backend'
    and activity.xact_start < clock_timestamp() - interval '1 second'
union all
select
    'prepared' as kind,
    prepared.gid as name,
    format('user %s', prepared.owner) as whose,
    extract(epoch from clock_timestamp() - prepared.prepared)::double precision as seconds,
    age(prepared.transaction) as age,
    true as is_idle
from pg_prepared_xacts as prepared
where prepared.database = current_database()
union all
select
    'slot' as kind,
    slots.slot_name::text as name,
    case when slots.active then 'in use' else 'not in use' end as whose,
    null as seconds,
    age(slots.xmin) as age,
    not slots.active as is_idle
from pg_replication_slots as slots
where slots.xmin is not null
union all
select
    'standby' as kind,
    standbys.pid::text as name,
    format('%s, user %s', standbys.application_name, standbys.usename) as whose,
    null as seconds,
    age(standbys.backend_xmin) as age,
    false as is_idle
from pg_stat_replication as standbys
where standbys.backend_xmin is not null
order by seconds desc nulls last, age desc nulls last;
