"""graphile-worker from npm: local queue of 2 000, batched completion without delay, 100 at once.

Its page on performance measures a local queue of 500 and 24 at once, in four processes, and says
that a much higher number may make sense for very fast tasks; in one process these are faster by
40 %. Bulk is ``addJobs``. It needs Node 22, which comes from npm too. Its log is off. Source:
worker.graphile.org/docs/performance, the comments of ``localQueue``.

The code is in graphile_worker.mjs, which speaks the language of `benchmarks.agent`.
"""

from __future__ import annotations

from benchmarks.peer import Peer

PEER = Peer(
    name="graphile_worker",
    title="graphile-worker (Node)",
    package="graphile-worker",
    requirements=("graphile-worker@0.18.0", "pg@8.16.3", "node@22.23.3"),
    script="graphile_worker.mjs",
    jobs=100_000,
    unfinished="select count(*) from graphile_worker._private_jobs where priority < 90",
    backlog={
        "waiting": """
            insert into graphile_worker._private_tasks (identifier) values ('noop');
            insert into graphile_worker._private_jobs (task_id, payload, priority)
            select id, '{"sent": "-1"}', 90
            from graphile_worker._private_tasks, generate_series(1, $1::bigint)
        """,
    },
)
