"""What a JobManager refuses when it is made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from asyncjobs.config import WorkerGroup
from asyncjobs.errors import ConfigError, UnknownAdapterError, UnknownQueueError
from asyncjobs.settings import check_groups

if TYPE_CHECKING:
    from asyncjobs.manager.manager import JobManager

MAX_QUEUE_NAME = 1_000
"""Bytes of one name: an entry of the index that the claim reads holds 2 700."""
MAX_QUEUE_NAMES = 5_000
"""Bytes of the JSON list of all names: a notification that has it has to fit in 8 000."""


def check_lists(queues: object, workers: object) -> None:
    """Raise ConfigError for one thing in place of a list of them."""
    if isinstance(queues, str):
        raise ConfigError(f"queues must be a list of names, got the text {queues!r}")
    for name, given, parts in (("queues", queues, "names"), ("workers", workers, "WorkerGroups")):
        if not isinstance(given, Iterable):
            kind = type(given).__name__
            raise ConfigError(f"{name} must be a list of {parts}, got: {kind}")


def check_manager(manager: JobManager) -> None:
    """Raise ConfigError, UnknownAdapterError or UnknownQueueError for what cannot be."""
    _check_adapters(manager)
    for name in manager.queues:
        if not isinstance(name, str) or not name or name == "*" or not name.isprintable():
            raise ConfigError(f'a queue is a printable name other than "*", got {name!r}')
        if (size := len(name.encode())) > MAX_QUEUE_NAME:
            raise ConfigError(f"a queue's name has at most {MAX_QUEUE_NAME} bytes, got {size}")
    if not manager.queues or len(set(manager.queues)) < len(manager.queues):
        raise ConfigError(f"queues must be different names, at least one, got {manager.queues!r}")
    listed = json.dumps(manager.queues, ensure_ascii=False, separators=(",", ":")).encode()
    if (size := len(listed)) > MAX_QUEUE_NAMES:
        raise ConfigError(
            f"the names of all queues must have at most {MAX_QUEUE_NAMES} bytes as a JSON list, "
            f"got {size}"
        )
    _check_groups(manager)


def refuse_kill_stuck(groups: Iterable[WorkerGroup]) -> None:
    """Raise ConfigError if one of *groups* would end a process that is not its own."""
    for group in groups:
        if group.kill_stuck and group.count:
            raise ConfigError(
                f"kill_stuck=True of the group {group.label!r} would end the web process: run its "
                "workers by `asyncjobs work` and the app with lifespan(work=False), or do "
                "without it"
            )


def _check_adapters(manager: JobManager) -> None:
    if not manager.adapters:
        raise ConfigError("a JobManager needs at least one adapter")
    for name, storage in manager.adapters.items():
        is_storage = hasattr(storage, "enqueue") and not isinstance(storage, type)
        if not isinstance(name, str) or not is_storage:
            kind = type(storage).__name__  # not the value: a DSN may hold a password
            raise ConfigError(f"an adapter is a storage by name, got {name!r}: a {kind}")


def _check_groups(manager: JobManager) -> None:
    for group in manager.workers:
        _check_group(manager, group)
    if manager.workers:  # one without any, which only schedules, knows of none
        check_groups([group.name for group in manager.workers if group.name is not None])


def _check_group(manager: JobManager, group: WorkerGroup) -> None:
    if not isinstance(group, WorkerGroup):
        raise ConfigError(f"workers must be WorkerGroups, got {group!r}")
    if group.adapter not in manager.adapters:
        raise UnknownAdapterError(group.adapter, manager.adapters)
    for queue in group.queues(manager.queues):
        if queue not in manager.queues:
            raise UnknownQueueError(queue, manager.queues)
