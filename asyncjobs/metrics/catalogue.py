"""Every metric there is: its name, what it means, and what it is told apart by.

Those of the cluster are read from the database: any process that is asked has the same truth.
Those of a process are of the one that answers, and say which by its number.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric."""

    name: str
    """As it is exported; a counter ends in ``_total``."""
    kind: Kind
    help: str
    labels: tuple[str, ...]


def _cluster(name: str, kind: Kind, help_: str, *labels: str) -> Metric:
    return Metric(f"asyncjobs_{name}", kind, help_, ("adapter", *labels))


def _process(name: str, kind: Kind, help_: str, *labels: str) -> Metric:
    return Metric(f"asyncjobs_{name}", kind, help_, ("pid", *labels))


UP = _cluster("database_up", "gauge", "1 if the database answered, 0 if it did not.")
READ_SECONDS = _cluster("read_seconds", "gauge", "Seconds that reading it took this time.")
INFO = _cluster(
    "build_info", "gauge", "Always 1; the labels say what is at work.", "version", "server"
)

JOBS = _cluster(
    "jobs",
    "gauge",
    "Stored jobs. If a state has 10 000 or more, about so many.",
    "queue",
    "state",
)
OLDEST = _cluster(
    "oldest_available_job_age_seconds",
    "gauge",
    "For how long the job that waits longest for a worker could have run; 0 if none waits.",
    "queue",
)
PAUSED = _cluster("queue_paused", "gauge", "1 if the queue is paused.", "queue")
ENQUEUED = _cluster(
    "jobs_enqueued_total",
    "counter",
    "Jobs that were stored. Those of transactions that were rolled back count too, and calls of "
    "unique jobs that existed.",
)
ATTEMPTS = _cluster(
    "attempts_total",
    "counter",
    "Attempts that ended. Outcomes: succeeded; failed, after which the job was given up; retried, "
    "which failed and is made again; cancelled, which includes discarded and expired ones.",
    "queue",
    "job_name",
    "outcome",
)
RESCUED = _cluster(
    "jobs_rescued_total",
    "counter",
    "Jobs that were taken from workers that fell silent, and run again.",
    "queue",
    "job_name",
)
WAIT = _cluster(
    "job_wait_seconds",
    "histogram",
    "From when an attempt was due until it began.",
    "queue",
)
RUN = _cluster(
    "job_run_seconds", "histogram", "How long attempts took that ended.", "queue", "job_name"
)
UNTOLD = _cluster(
    "job_names_untold",
    "gauge",
    "1 if there are more queues and job names than are told of: those that began last are left "
    "out.",
)

SCHEDULES = _cluster(
    "schedules", "gauge", "Recurring jobs: active, off, gave_up or retired.", "standing"
)
SCHEDULES_OVERDUE = _cluster(
    "schedules_overdue", "gauge", "Active schedules whose tick is a minute old or older."
)
SCHEDULE_LAG = _cluster(
    "schedule_lag_seconds", "gauge", "By how much the latest active schedule is late; 0 if none is."
)
SCHEDULE_PROBLEMS = _cluster(
    "schedules_with_problem", "gauge", "Active schedules that no worker can plan or run."
)

WORKERS = _cluster(
    "workers",
    "gauge",
    "Registered workers: alive, or silent for longer than their lease.",
    "group",
    "state",
)
HEARTBEAT = _cluster(
    "worker_heartbeat_age_seconds",
    "gauge",
    "Since the last heartbeat of that worker of the group which has been silent longest.",
    "group",
)

MAINTENANCE_FAILING = _cluster(
    "maintenance_failing", "gauge", "1 if the task could not be done when it was tried.", "task"
)
MAINTENANCE_LATE = _cluster(
    "maintenance_late_seconds",
    "gauge",
    "For how long the task has been due and no worker has taken it.",
    "task",
)

TABLE_ROWS = _cluster(
    "table_rows",
    "gauge",
    "Rows of the table of jobs as PostgreSQL estimates them: live, or dead until the next vacuum.",
    "state",
)
TABLE_BYTES = _cluster(
    "table_bytes", "gauge", "Size of the table of jobs: table, or indexes.", "part"
)
SNAPSHOT = _cluster(
    "oldest_snapshot_age_seconds",
    "gauge",
    "For how long the oldest transaction has kept dead rows from being removed.",
)
CONNECTIONS = _cluster(
    "database_connections", "gauge", "Connections of everybody to the database server."
)
CONNECTIONS_LIMIT = _cluster("database_connections_limit", "gauge", "How many it allows.")
NOTIFY_USAGE = _cluster(
    "notify_queue_usage_ratio",
    "gauge",
    "Which share of the server's room for notifications is taken, 0 to 1.",
)

CLUSTER = (
    UP,
    READ_SECONDS,
    INFO,
    JOBS,
    OLDEST,
    PAUSED,
    ENQUEUED,
    ATTEMPTS,
    RESCUED,
    WAIT,
    RUN,
    UNTOLD,
    SCHEDULES,
    SCHEDULES_OVERDUE,
    SCHEDULE_LAG,
    SCHEDULE_PROBLEMS,
    WORKERS,
    HEARTBEAT,
    MAINTENANCE_FAILING,
    MAINTENANCE_LATE,
    TABLE_ROWS,
    TABLE_BYTES,
    SNAPSHOT,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    NOTIFY_USAGE,
)
"""What any process tells alike."""

SLOTS = _process("worker_slots", "gauge", "Jobs that may run at once.", "group", "worker")
RUNNING = _process("worker_running_jobs", "gauge", "Jobs that run.", "group", "worker")
BUFFERED = _process(
    "worker_buffered_jobs",
    "gauge",
    "Claimed jobs that have not started.",
    "group",
    "worker",
)
UNRECORDED = _process(
    "worker_unrecorded_outcomes",
    "gauge",
    "Attempts that ended and are not recorded in the database yet.",
    "group",
    "worker",
)
STARTED = _process(
    "worker_started_attempts_total", "counter", "Attempts that were started.", "group", "worker"
)
CLAIM_SIZE = _process(
    "claim_batch_jobs", "histogram", "Jobs of one claim; 0 if it found none.", "group", "worker"
)
CLAIM_SECONDS = _process(
    "claim_seconds", "histogram", "How long one claim took.", "group", "worker"
)
FINISH_SIZE = _process(
    "finish_batch_jobs", "histogram", "Outcomes that were recorded at once.", "group", "worker"
)
FINISH_SECONDS = _process(
    "finish_seconds", "histogram", "How long recording a batch took.", "group", "worker"
)
LOOP_LAG = _process(
    "event_loop_lag_seconds",
    "histogram",
    "How long the event loop took to come to the next step, asked about four times a second.",
    "group",
    "worker",
)
OWN_CONNECTIONS = _process(
    "connections",
    "gauge",
    "Connections with a purpose of their own, in this process: busy or idle. Without those of "
    "LISTEN and of heartbeats.",
    "adapter",
    "state",
)
TRANSACTIONS = _process(
    "job_transactions", "gauge", "Jobs that are inside a transaction of their own.", "adapter"
)
TRANSACTIONS_LIMIT = _process(
    "job_transactions_limit", "gauge", "How many may be at once; others wait.", "adapter"
)
POOL = _process(
    "pool_connections",
    "gauge",
    "Connections of the pool that the adapter was given: used or idle.",
    "adapter",
    "state",
)
POOL_LIMIT = _process("pool_connections_limit", "gauge", "How many that may have.", "adapter")

PROCESS = (
    SLOTS,
    RUNNING,
    BUFFERED,
    UNRECORDED,
    STARTED,
    CLAIM_SIZE,
    CLAIM_SECONDS,
    FINISH_SIZE,
    FINISH_SECONDS,
    LOOP_LAG,
    OWN_CONNECTIONS,
    TRANSACTIONS,
    TRANSACTIONS_LIMIT,
    POOL,
    POOL_LIMIT,
)
"""What each process tells of itself."""

METRICS = (*CLUSTER, *PROCESS)
