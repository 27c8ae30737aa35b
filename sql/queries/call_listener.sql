-- call_listener: send a notification to a connection that listens.
--
-- Run by every process that listens behind a pooler or by another address, when it begins to:
-- what it sends to itself may come back where nothing of others does.
--
-- $1 channel text
--
-- Returns one row: sent.
select pg_notify($1, '') as sent;
