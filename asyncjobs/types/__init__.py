"""The values that pass between the parts: rows, outcomes, and what a user gets back."""

from asyncjobs.types.attempts import (
    EXPIRED,
    ClaimedJob,
    Completion,
    Kept,
    Names,
    Outcome,
    RunOf,
)
from asyncjobs.types.base import (
    Json,
    told_in,
    tuple_of,
)
from asyncjobs.types.jobs import (
    FINAL,
    MAX_ERRORS,
    Extras,
    JobRecord,
    JobState,
    JobStatus,
    NewJob,
    Progress,
    StoredJob,
    Unique,
)
from asyncjobs.types.lanes import (
    ALL_LANES,
    Admission,
    KnownLimit,
    Limit,
    Pause,
    as_pause,
)
from asyncjobs.types.workers import (
    Heartbeat,
    LocalWorker,
    Promotion,
    Rescued,
    Signal,
    WorkerInfo,
)

__all__ = [
    "ALL_LANES",
    "EXPIRED",
    "FINAL",
    "MAX_ERRORS",
    "Admission",
    "ClaimedJob",
    "Completion",
    "Extras",
    "Heartbeat",
    "JobRecord",
    "JobState",
    "JobStatus",
    "Json",
    "Kept",
    "KnownLimit",
    "Limit",
    "LocalWorker",
    "Names",
    "NewJob",
    "Outcome",
    "Pause",
    "Progress",
    "Promotion",
    "Rescued",
    "RunOf",
    "Signal",
    "StoredJob",
    "Unique",
    "WorkerInfo",
    "as_pause",
    "told_in",
    "tuple_of",
]
