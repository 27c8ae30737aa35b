-- read_durations: what ended, and how long jobs waited and ran, by queue and name.
--
-- Run by the dashboard, and by `asyncjobs doctor`.
--
-- $1 width integer   (seconds)   $2 spans integer   (so many, up to now)
-- $3 wide integer    (seconds: a multiple of width, of which two fit into that time; or null)
--
-- Returns a row for each queue and name, with the sums of its spans; those of histograms class by
-- class, written out because nothing else that PostgreSQL has adds arrays up as fast. Wide spans
-- tell the same as narrow ones in fewer rows, from the first that is within this time until the
-- last one that is over and has been counted: of spans that are joined some may still be missing.
with bounds as materialized (
    select
        statement_timestamp() - $1::integer * $2::integer * interval '1 second' as after_time,
        to_timestamp(
            ceil(extract(epoch from statement_timestamp() - $1::integer * $2::integer * interval '1 second') / $3::integer)
            * $3::integer
        ) as first_wide,
        least(
            to_timestamp(floor(extract(epoch from statement_timestamp()) / $3::integer) * $3::integer),
            coalesce(
                (
                    select max(wide.since) + $3::integer * interval '1 second'
                    from :"schema".statistics as wide
                    where wide.width = $3::integer
                ),
                '-infinity'
            )
        ) as after_wide
),

parts as materialized (
    select
        bounds.after_time,
        case when bounds.after_wide > bounds.first_wide then bounds.first_wide else 'infinity' end as first_wide,
        case when bounds.after_wide > bounds.first_wide then bounds.after_wide else 'infinity' end as after_wide
    from bounds
)

select
    ended.queue,
    ended.name,
    sum(ended.succeeded)::bigint as succeeded,
    sum(ended.failed)::bigint as failed,
    sum(ended.retried)::bigint as retried,
    sum(ended.cancelled)::bigint as cancelled,
    array[
        sum(ended.waits[1]), sum(ended.waits[2]), sum(ended.waits[3]), sum(ended.waits[4]), sum(ended.waits[5]), sum(ended.waits[6]),
        sum(ended.waits[7]), sum(ended.waits[8]), sum(ended.waits[9]), sum(ended.waits[10]), sum(ended.waits[11]), sum(ended.waits[12]),
        sum(ended.waits[13]), sum(ended.waits[14]), sum(ended.waits[15]), sum(ended.waits[16]), sum(ended.waits[17]), sum(ended.waits[18]),
        sum(ended.waits[19]), sum(ended.waits[20]), sum(ended.waits[21]), sum(ended.waits[22]), sum(ended.waits[23]), sum(ended.waits[24]),
        sum(ended.waits[25]), sum(ended.waits[26]), sum(ended.waits[27]), sum(ended.waits[28]), sum(ended.waits[29]), sum(ended.waits[30]),
        sum(ended.waits[31]), sum(ended.waits[32]), sum(ended.waits[33]), sum(ended.waits[34]), sum(ended.waits[35]), sum(ended.waits[36]),
        sum(ended.waits[37]), sum(ended.waits[38]), sum(ended.waits[39]), sum(ended.waits[40]), sum(ended.waits[41]), sum(ended.waits[42]),
        sum(ended.waits[43]), sum(ended.waits[44]), sum(ended.waits[45]), sum(ended.waits[46]), sum(ended.waits[47]), sum(ended.waits[48]),
        sum(ended.waits[49]), sum(ended.waits[50]), sum(ended.waits[51]), sum(ended.waits[52]), sum(ended.waits[53]), sum(ended.waits[54]),
        sum(ended.waits[55]), sum(ended.waits[56]), sum(ended.waits[57]), sum(ended.waits[58]), sum(ended.waits[59]), sum(ended.waits[60]),
        sum(ended.waits[61]), sum(ended.waits[62]), sum(ended.waits[63]), sum(ended.waits[64]), sum(ended.waits[65]), sum(ended.waits[66]),
        sum(ended.waits[67]), sum(ended.waits[68]), sum(ended.waits[69]), sum(ended.waits[70]), sum(ended.waits[71]), sum(ended.waits[72])
    ] as waits,
    array[
        sum(ended.runs[1]), sum(ended.runs[2]), sum(ended.runs[3]), sum(ended.runs[4]), sum(ended.runs[5]), sum(ended.runs[6]),
        sum(ended.runs[7]), sum(ended.runs[8]), sum(ended.runs[9]), sum(ended.runs[10]), sum(ended.runs[11]), sum(ended.runs[12]),
        sum(ended.runs[13]), sum(ended.runs[14]), sum(ended.runs[15]), sum(ended.runs[16]), sum(ended.runs[17]), sum(ended.runs[18]),
        sum(ended.runs[19]), sum(ended.runs[20]), sum(ended.runs[21]), sum(ended.runs[22]), sum(ended.runs[23]), sum(ended.runs[24]),
        sum(ended.runs[25]), sum(ended.runs[26]), sum(ended.runs[27]), sum(ended.runs[28]), sum(ended.runs[29]), sum(ended.runs[30]),
        sum(ended.runs[31]), sum(ended.runs[32]), sum(ended.runs[33]), sum(ended.runs[34]), sum(ended.runs[35]), sum(ended.runs[36]),
        sum(ended.runs[37]), sum(ended.runs[38]), sum(ended.runs[39]), sum(ended.runs[40]), sum(ended.runs[41]), sum(ended.runs[42]),
        sum(ended.runs[43]), sum(ended.runs[44]), sum(ended.runs[45]), sum(ended.runs[46]), sum(ended.runs[47]), sum(ended.runs[48]),
        sum(ended.runs[49]), sum(ended.runs[50]), sum(ended.runs[51]), sum(ended.runs[52]), sum(ended.runs[53]), sum(ended.runs[54]),
        sum(ended.runs[55]), sum(ended.runs[56]), sum(ended.runs[57]), sum(ended.runs[58]), sum(ended.runs[59]), sum(ended.runs[60]),
        sum(ended.runs[61]), sum(ended.runs[62]), sum(ended.runs[63]), sum(ended.runs[64]), sum(ended.runs[65]), sum(ended.runs[66]),
        sum(ended.runs[67]), sum(ended.runs[68]), sum(ended.runs[69]), sum(ended.runs[70]), sum(ended.runs[71]), sum(ended.runs[72])
    ] as runs
from (
    select narrow.*
    from :"schema".statistics as narrow
    where
        narrow.width = $1::integer
        and narrow.since > (select parts.after_time from parts)
        and narrow.since < (select parts.first_wide from parts)
    union all
    select wide.*
    from :"schema".statistics as wide
    where
        wide.width = $3::integer
        and wide.since >= (select parts.first_wide from parts)
        and wide.since < (select parts.after_wide from parts)
    union all
    select narrow.*
    from :"schema".statistics as narrow
    where
        narrow.width = $1::integer
        and narrow.since >= (select parts.after_wide from parts)
) as ended
group by ended.queue, ended.name;
