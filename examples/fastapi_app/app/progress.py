"""What became of a user's jobs, told to the user."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.jobs import later
from asyncjobs import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from asyncjobs.types import JobRecord

TITLES = {
    "send_welcome_email": "Send the welcome e-mail",
    "make_avatar": "Draw an avatar",
    "sync_to_crm": "Tell the CRM",
    "gather_places": "Find places to go",
    "send_tips": "Send some tips later",
}
UNFINISHED = {JobState.SCHEDULED, JobState.AVAILABLE, JobState.RUNNING}


@dataclass(frozen=True, slots=True)
class Step:
    """One job as the page shows it."""

    record: JobRecord

    @property
    def title(self) -> str:
        """What the job is for."""
        return TITLES.get(self.record.name, self.record.name)

    @property
    def is_unfinished(self) -> bool:
        """Whether there is more to come."""
        return self.record.state in UNFINISHED

    @property
    def is_waiting(self) -> bool:
        """Whether it has a time in the future."""
        return self.record.state == JobState.SCHEDULED

    @property
    def tells_progress(self) -> bool:
        """Whether the page shows a bar for it."""
        return self.record.name == "gather_places"

    @property
    def done(self) -> float:
        """How far it is, from 0 to 1."""
        return float(self._progress.get("done", 0))

    @property
    def message(self) -> str:
        """What it said last."""
        return self._progress.get("message") or ""

    @property
    def result(self) -> list[str]:
        """What it returned, if that is kept."""
        return list(json.loads(self.record.result or "null") or [])

    @property
    def _progress(self) -> dict[str, Any]:
        return dict(json.loads(self.record.progress or "{}"))

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The failed attempts, the oldest first."""
        return list(json.loads(self.record.errors))

    @property
    def attempted_at(self) -> datetime | None:
        """When the last attempt began."""
        return self.record.attempted_at

    @property
    def took(self) -> float | None:
        """Seconds of the last attempt."""
        begin, end = self.record.attempted_at, self.record.finished_at
        return (end - begin).total_seconds() if begin and end else None


async def load_steps(job_ids: Iterable[int]) -> list[Step]:
    """Return the jobs in their order, without those whose rows were removed."""
    records = [await later.get(job_id) for job_id in job_ids]
    return [Step(record) for record in records if record is not None]
