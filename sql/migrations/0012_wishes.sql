-- 0012_wishes: let people say that a worker shall claim nothing more, or end.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Workers of programs that know only the version before do not
-- say their version, by which it is known that they do not hear what is wished of them.
alter table :"schema".workers
-- Of this package; null for one that hears no wishes.
add column version text,
-- How many jobs it runs at once.
add column concurrency integer,
-- Since when it is to claim nothing more; null if it may.
add column quiet_at timestamptz,
-- Since when it is to end.
add column stop_at timestamptz,
-- Since when it does, whoever told it to. Only said by one that has to wait for running jobs.
add column stopping_at timestamptz;
