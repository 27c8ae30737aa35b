-- applied_migrations: what was migrated so far.
--
-- Run by `asyncjobs migrate`.
select
    migrations.version,
    migrations.name,
    migrations.checksum,
    migrations.needs
from :"schema".migrations
order by migrations.version;
