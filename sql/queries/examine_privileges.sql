-- examine_privileges: what a worker needs to do with our tables, and this user may not.
--
-- Run by `asyncjobs doctor`, once.
--
-- $1 schema text
--
-- Returns a row for each: privilege, and name, as a `grant` has it. Workers read, write and
-- remove rows of every table but that of migrations, which they read.
with present as (
    select
        classes.oid,
        classes.relkind,
        classes.relname,
        format('%I.%I', spaces.nspname, classes.relname) as name
    from pg_namespace as spaces
    inner join pg_class as classes on classes.relnamespace = spaces.oid
    where spaces.nspname = $1::text and classes.relkind in ('r', 'p', 'S')
)

select
    wanted.privilege,
    present.name
from present
cross join (values ('select'), ('insert'), ('update'), ('delete')) as wanted (privilege)
where
    (present.relname <> 'migrations' or wanted.privilege = 'select')
    and case
        when present.relkind <> 'S' then not has_table_privilege(present.oid, wanted.privilege)
    end
union all
select
    'usage' as privilege,
    'sequence ' || present.name as name
from present
where case
    when present.relname = 'jobs_id_seq' then not has_sequence_privilege(present.oid, 'usage')
end
union all
select
    'usage' as privilege,
    format('schema %I', spaces.nspname) as name
from pg_namespace as spaces
where spaces.nspname = $1::text and not has_schema_privilege(spaces.oid, 'usage')
order by name, privilege;
