"""When each alert is raised, and when it is not: series as Prometheus' own tool for tests writes
them, a value a minute from minute 0 on. `0+2x9` rises by 2 for nine minutes, `_` is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Raised:
    """An alert that is not raised *quiet* minutes after the beginning, and is at *raised*."""

    alert: str
    quiet: int
    raised: int
    summary: str
    labels: dict[str, str] = field(default_factory=dict)
    series: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Quiet:
    """An alert that is not raised at any of *minutes*."""

    alert: str
    minutes: tuple[int, ...]
    series: dict[str, str]


MAIN = {"adapter": "main"}
SENDING = {"adapter": "main", "queue": "default", "job_name": "send"}
ATTEMPTS = 'asyncjobs_attempts_total{adapter="main",queue="default",job_name="send",outcome="%s"}'
ALIVE = 'asyncjobs_workers{adapter="main",group="%s",state="alive"}'
AVAILABLE = 'asyncjobs_jobs{adapter="main",queue="default",state="available"}'
AGE = 'asyncjobs_oldest_available_job_age_seconds{adapter="main",queue="default"}'
PAUSED = 'asyncjobs_queue_paused{adapter="main",queue="default"}'
RESCUED = 'asyncjobs_jobs_rescued_total{adapter="main",queue="default",job_name="send"}'
LAG = 'asyncjobs_event_loop_lag_seconds_%s{pid="7",group="all",worker="all.0"%s}'

CASES: list[Raised | Quiet] = [
    Raised("AsyncjobsNotObserved", 4, 5, "Nobody tells the metrics of asyncjobs"),
    Quiet(
        "AsyncjobsNotObserved",
        (4, 9, 20),
        {'asyncjobs_database_up{adapter="main"}': "1x3 _x4 1x20"},  # restarted
    ),
    Raised(
        "AsyncjobsDatabaseDown",
        2,
        3,
        "The database of main does not answer",
        MAIN,
        {'asyncjobs_database_up{adapter="main"}': "1 0x10"},
    ),
    Quiet(
        "AsyncjobsDatabaseDown",
        (3, 10),
        {
            'asyncjobs_database_up{adapter="main",instance="a"}': "0x20",
            'asyncjobs_database_up{adapter="main",instance="b"}': "1x20",  # so it is the way to it
        },
    ),
    Raised(
        "AsyncjobsNoWorkers",
        2,
        3,
        "No worker of main is alive",
        MAIN,
        {ALIVE % "mail": "0x10", ALIVE % "rest": "0x10"},
    ),
    Quiet("AsyncjobsNoWorkers", (3, 10), {ALIVE % "mail": "0x20", ALIVE % "rest": "1x20"}),
    Raised(
        "AsyncjobsGroupWithoutWorkers",
        9,
        10,
        "The group mail of main has no worker",
        {"adapter": "main", "group": "mail"},
        {ALIVE % "mail": "0x20", ALIVE % "rest": "1x20"},
    ),
    Raised(
        "AsyncjobsWorkerSilent",
        1,
        2,
        "A worker of mail is silent and nobody has taken its jobs",
        {"adapter": "main", "group": "mail"},
        {'asyncjobs_workers{adapter="main",group="mail",state="silent"}': "1x10"},
    ),
    Raised(
        "AsyncjobsJobsWait",
        4,
        5,
        "A job of the queue default has waited for 5m 1s",
        {"adapter": "main", "queue": "default"},
        {AGE: "301x10", PAUSED: "0x10"},
    ),
    Quiet("AsyncjobsJobsWait", (5, 10), {AGE: "900x10", PAUSED: "1x10"}),
    Raised(
        "AsyncjobsQueueGrows",
        40,
        41,
        "The queue default has grown for an hour, to 1.31k jobs",
        {"adapter": "main", "queue": "default"},
        {AVAILABLE: "900+10x60", PAUSED: "0x60"},
    ),
    Quiet("AsyncjobsQueueGrows", (41, 90), {AVAILABLE: "9000-10x90", PAUSED: "0x90"}),
    Quiet("AsyncjobsQueueGrows", (41, 90), {AVAILABLE: "9000+10x90", PAUSED: "1x90"}),
    Raised(
        "AsyncjobsQueuePausedForLong",
        359,
        360,
        "The queue default has been paused for six hours",
        {"adapter": "main", "queue": "default"},
        {PAUSED: "1x360"},
    ),
    Raised(
        "AsyncjobsJobsGivenUp",
        1,
        2,
        "Jobs send have used up their attempts",
        SENDING,
        {ATTEMPTS % "failed": "0 0 1x20"},
    ),
    Quiet("AsyncjobsJobsGivenUp", (1, 18), {ATTEMPTS % "failed": "0 0 1x20"}),
    Raised(
        "AsyncjobsAttemptsFail",
        12,
        13,
        "30% of the attempts of send fail",
        SENDING,
        {ATTEMPTS % "succeeded": "0+7x20", ATTEMPTS % "retried": "0+3x20"},
    ),
    Quiet(
        "AsyncjobsAttemptsFail",
        (13, 60),
        {ATTEMPTS % "succeeded": "0+9x60", ATTEMPTS % "retried": "0+1x60"},
    ),
    Quiet(
        "AsyncjobsAttemptsFail",  # all fail, but they are few
        (13, 60),
        {ATTEMPTS % "succeeded": "0x60", ATTEMPTS % "retried": "0+1x60"},
    ),
    Raised(
        "AsyncjobsJobsRescued",
        5,
        6,
        "6 jobs of main lost their worker within an hour",
        MAIN,
        {RESCUED: "0+1x10"},
    ),
    Raised(
        "AsyncjobsSchedulesOverdue",
        4,
        5,
        "2 schedules of main are overdue",
        MAIN,
        {'asyncjobs_schedules_overdue{adapter="main"}': "2x10"},
    ),
    Raised(
        "AsyncjobsSchedulesStopped",
        0,
        1,
        "2 schedules of main make no run any more",
        MAIN,
        {
            'asyncjobs_schedules{adapter="main",standing="gave_up"}': "2x10",
            'asyncjobs_schedules_with_problem{adapter="main"}': "0x10",
        },
    ),
    Raised(
        "AsyncjobsSchedulesStopped",
        0,
        1,
        "3 schedules of main make no run any more",
        MAIN,
        {
            'asyncjobs_schedules{adapter="main",standing="gave_up"}': "0x10",
            'asyncjobs_schedules_with_problem{adapter="main"}': "3x10",
        },
    ),
    Raised(
        "AsyncjobsMaintenanceFails",
        59,
        60,
        "The task prune of main fails",
        {"adapter": "main", "task": "prune"},
        {'asyncjobs_maintenance_failing{adapter="main",task="prune"}': "1x60"},
    ),
    Raised(
        "AsyncjobsOldSnapshot",
        4,
        5,
        "A transaction has been open for 30m 1s",
        MAIN,
        {'asyncjobs_oldest_snapshot_age_seconds{adapter="main"}': "1801x10"},
    ),
    Raised(
        "AsyncjobsConnectionsNearlyUsedUp",
        4,
        5,
        "91% of the connections of the server are taken",
        MAIN,
        {
            'asyncjobs_database_connections{adapter="main"}': "91x10",
            'asyncjobs_database_connections_limit{adapter="main"}': "100x10",
        },
    ),
    Raised(
        "AsyncjobsNotifyQueueFills",
        9,
        10,
        "The server's queue of notifications is half full",
        MAIN,
        {'asyncjobs_notify_queue_usage_ratio{adapter="main"}': "0.6x10"},
    ),
    Raised(
        "AsyncjobsLoopBlocked",
        5,
        6,
        "The event loop of all.0 stands still for more than a second",
        {"worker": "all.0"},
        {LAG % ("count", ""): "0+240x10", LAG % ("bucket", ',le="1.0"'): "0+239x10"},
    ),
    Quiet(
        "AsyncjobsLoopBlocked",
        (6, 10),
        {LAG % ("count", ""): "0+240x10", LAG % ("bucket", ',le="1.0"'): "0+240x10"},
    ),
    Raised(
        "AsyncjobsOutcomesNotRecorded",
        1,
        2,
        "all.0 has 1500 outcomes that are not recorded",
        {"pid": "7", "group": "all", "worker": "all.0"},
        {'asyncjobs_worker_unrecorded_outcomes{pid="7",group="all",worker="all.0"}': "1500x10"},
    ),
]
