-- current_migration: which schema there is, and which program it needs.
--
-- Run by every program when it opens the storage.
select
    migrations.version,
    migrations.needs
from :"schema".migrations
order by migrations.version desc
limit 1;
