-- prove_listening: send a notification to oneself, and ask for the time.
--
-- Run by every process that listens, every few seconds, with a channel of its own: a connection
-- that answers may still hear nothing.
--
-- $1 channel text
--
-- Returns one row: now, seconds since 1970 by the database's clock; pid, of the server's process.
select
    extract(epoch from clock_timestamp())::double precision as now,
    pg_backend_pid() as pid,
    pg_notify($1, '') as sent;
