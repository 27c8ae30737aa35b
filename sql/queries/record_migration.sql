-- record_migration: remember that a migration was applied.
--
-- Run by `asyncjobs migrate` after each step, in its transaction.
--
-- $1 version integer   $2 name text   $3 checksum text   $4 needs integer
insert into :"schema".migrations (version, name, checksum, needs)
values ($1, $2, $3, $4);
