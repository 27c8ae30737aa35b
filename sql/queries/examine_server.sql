-- examine_server: what a server is like, and how it is set.
--
-- Run by `asyncjobs doctor`, once.
--
-- Returns one row: version and number (as in 170002), standby, account (the user), now (seconds
-- since 1970), the settings by their names; of the limit of connections that leaves the fewest:
-- connections (that are taken now), most_connections (of those that are not kept back for
-- others) and whose_limit; queue_usage (share of the room for notifications, 0 to 1) and
-- is_hidden (what other users do cannot be seen by this one).
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::integer as number,
    pg_is_in_recovery() as standby,
    current_user::text as account,
    extract(epoch from clock_timestamp())::double precision as now,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('autovacuum') as autovacuum,
    current_setting('track_counts') as track_counts,
    allowed.taken as connections,
    allowed.most as most_connections,
    allowed.whose as whose_limit,
    pg_notification_queue_usage() as queue_usage,
    not pg_has_role(current_user, 'pg_read_all_stats', 'usage') as is_hidden
from (
    select
        'max_connections' as whose,
        (select sum(bases.numbackends)::integer from pg_stat_database as bases) as taken,
        current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
        - coalesce(current_setting('reserved_connections', true), '0')::integer as most
    union all
    select
        'the connection limit of the user' as whose,
        (
            select count(*)::integer
            from pg_stat_activity as activity
            where activity.usename = current_user
        ) as taken,
        roles.rolconnlimit as most
    from pg_roles as roles
    where roles.rolname = current_user and roles.rolconnlimit >= 0
    union all
    select
        'the connection limit of the database' as whose,
        bases.numbackends as taken,
        databases.datconnlimit as most
    from pg_database as databases
    inner join pg_stat_database as bases on databases.oid = bases.datid
    where databases.datname = current_database() and databases.datconnlimit >= 0
) as allowed
order by allowed.most - allowed.taken
limit 1;
