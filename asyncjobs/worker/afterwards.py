"""The hooks that run after an attempt: before its outcome is recorded, and when it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncjobs import hooks
from asyncjobs.worker.outcome import represent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncjobs.hooks import OutcomeWord
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
        except Exception as error:  # noqa: BLE001 - it is told
            _say_failed(hook, attempt, error, log)


def tell_outcome(attempt: Attempt, word: OutcomeWord, decision: Decision, log: Any) -> None:
    """Tell the hooks what became of *attempt*. What a hook raises is logged, and no more."""
    if attempt.around is None or not attempt.around.on_outcome:
        return
    end = hooks.AttemptEnd(word, decision.error, decision.outcome.delay)
    for hook in attempt.around.on_outcome:
        try:
            hook(attempt.context(), end)
        except BaseException as error:  # noqa: BLE001 - nor must it keep the job's slot
            _say_failed(hook, attempt, error, log)


def _say_failed(hook: Callable[..., Any], attempt: Attempt, error: BaseException, log: Any) -> None:
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
