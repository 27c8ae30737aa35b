"""Jobs as the objects that enqueue_special and enqueue_unique take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs.jsonb import keep_floats
from asyncjobs.types import Extras

if TYPE_CHECKING:
    from asyncjobs.types import NewJob


def as_record(job: NewJob) -> dict[str, Any]:
    """Return *job* as an object of these statements; what is absent is null."""
    extras = job.extras or Extras()
    record = {
        "name": job.name,
        "queue": job.queue,
        "priority": job.priority,
        "args": job.args,
        "wait": job.wait,
        "moment": job.wait_until and job.wait_until.isoformat(),
        "tags": extras.tags,
        "extra": extras.extra and keep_floats(extras.extra),
        "expires": extras.expires,
        "expires_at": extras.expires_at and extras.expires_at.isoformat(),
        "retain": extras.retain,
        "lane": extras.lane,
        "queue_lane": extras.queue_lane,
        "schedule": extras.schedule,
        "tick": extras.tick and extras.tick.isoformat(),
        "parent_id": job.parent_id,
    }
    return {key: value for key, value in record.items() if value not in (None, ())}
