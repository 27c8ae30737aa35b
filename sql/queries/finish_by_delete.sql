-- finish_by_delete: remove jobs that ended and are not to be kept.
--
-- Run by every worker for each batch of jobs that ended. Durable.
--
-- $1 worker bigint   $2 ids text, ascending   $3 attempts text   (arrays of the same length, such
-- as '{7, 9}': one text is less work to the driver than an array)
--
-- Returns the ids it removed. A row that was rescued meanwhile has another worker or a
-- higher attempt and is left alone: the late report of a dead attempt must not win.
-- (`coalesce` hides from the planner how few rows a worker seems to hold, and there is no join
-- that could be made in a wrong way: by statistics from before the claims, or of the empty
-- table, it would read the whole table to find the "one" row.)
with ended as materialized (
    select
        $2::text::bigint[] as ids,
        $3::text::smallint[] as attempts
)

delete from :"schema".jobs
where
    jobs.id = any((select ended.ids from ended)::bigint[])
    and jobs.attempt = (select ended.attempts from ended)[
        width_bucket(jobs.id, (select ended.ids from ended))
    ]
    and coalesce(jobs.locked_by = $1::bigint, false)
returning jobs.id;
