"""The hooks that run after an attempt, before its outcome is recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncjobs import hooks
from asyncjobs.worker.outcome import represent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncjobs.worker.attempt import Attempt
    from asyncjobs.worker.reporter import Decision

HOOK_TIMEOUT = 60.0
"""Seconds for one hook: it holds the job's slot."""


async def run_hooks(
    attempt: Attempt, around: hooks.Around, decision: Decision, result: Any, log: Any
) -> None:
    """Call what is to be called after *attempt*. What a hook raises is logged, and no more.

    A cancellation ends the hooks: the outcome is decided, and is recorded in any case.
    """
    for hook, *args in _due(attempt, around, decision, result):
        try:
            async with asyncio.timeout(HOOK_TIMEOUT):
                await hooks.call(hook, attempt.context(), *args)
        except asyncio.CancelledError:
            return
        except Exception as error:
            name = getattr(hook, "__qualname__", repr(hook))
            log.error(
                "hook.failed", hook=name, job=attempt.row.name, id=attempt.row.id,
                error=represent(error), exc_info=error,
            )  # fmt: skip


def _due(
    attempt: Attempt, around: hooks.Around, decision: Decision, result: Any
) -> Iterator[tuple[Callable[..., Any], Any] | tuple[Callable[..., Any]]]:
    state, error = decision.outcome.state, decision.error
    if state == "available":  # given back: this attempt did not happen
        return
    if attempt.refusal is None:
        yield from ((hook,) for hook in around.after_perform)
    if state == "succeeded":
        yield from ((hook, result) for hook in around.after_success)
    if error is not None and state in {"failed", "scheduled"}:
        yield from ((hook, error) for hook in around.after_failure)
    if error is not None and state in {"failed", "cancelled"}:
        yield from ((hook, error) for hook in around.on_discard)
