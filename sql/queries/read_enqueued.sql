-- read_enqueued: how many ids jobs have been given.
--
-- Run at most once a second by whatever Prometheus asks.
--
-- Ids that no job has, because a transaction was rolled back or a unique job existed, count
-- too. After a crash of the server some are skipped; there are never fewer.
select
    coalesce(
        pg_sequence_last_value(
            pg_get_serial_sequence(quote_ident(:'schema') || '.jobs', 'id')::regclass
        ),
        0
    ) as ids;
