-- report_schedule: say why a schedule cannot be planned or run.
--
-- Run by a worker that met one and cannot read it, if nobody else could for a minute, or can.
--
-- $1 name text   $2 problem text
--
-- Returns the name if that is news, and nobody's open transaction has locked the schedule.
update :"schema".schedules
set problem = $2
where
    schedules.name = any(array(
        select one.name
        from :"schema".schedules as one
        where
            one.name = $1
            and one.problem is distinct from $2
            and (
                coalesce(one.next_at, one.after_at) < statement_timestamp() - interval '1 minute'
                or coalesce(one.next_at, one.after_at) > '9998-12-31 00:00Z'
            )
        for update of one skip locked
    ))
returning schedules.name;
