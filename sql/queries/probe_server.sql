-- probe_server: what the server can do.
--
-- Run by every program when it opens the storage. A server without SKIP LOCKED, or without
-- these functions, refuses it; then each is tried by itself.
--
-- Returns one row: pid, the process that answers, which is not the one that a pooler told of;
-- isolation, that of a transaction that does not say which; notify and advisory_locks.
select
    pg_backend_pid() as pid,
    current_setting('default_transaction_isolation') as isolation,
    to_regprocedure('pg_notify(text, text)') is not null as notify,
    to_regprocedure('pg_advisory_xact_lock(bigint)') is not null as advisory_locks
from (select 1) as something
for update skip locked;
