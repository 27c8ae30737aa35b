-- report_schedule: say why a schedule cannot be planned or run.
--
-- Run by a worker that met one and cannot read it, if nobody else could for a minute.
--
-- $1 name text   $2 problem text
--
-- Returns the name if that is news.
update :"schema".schedules
set problem = $2
where
    schedules.name = $1
    and schedules.problem is distinct from $2
    and coalesce(schedules.next_at, schedules.after_at)
    < statement_timestamp() - interval '1 minute'
returning schedules.name;
