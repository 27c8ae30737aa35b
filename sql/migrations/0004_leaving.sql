-- 0004_leaving: let a worker say that its process ends before its jobs do.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs that know only the version before go on: whom they
-- rescue pays the attempt, as before.
alter table :"schema".workers
-- Whoever takes its jobs gives back the attempts that were cut off.
add column leaving boolean not null default false;
