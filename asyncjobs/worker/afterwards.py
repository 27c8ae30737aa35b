"""The hooks that run after an attempt: before its outcome is recorded, and when it is."""

from __future__ import annotations

import asyncio
import contextlib
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
    attempt: Attempt,
    decision: Decision,
    result: Any,
    log: Any,
    is_of_others: Callable[[Attempt, BaseException], bool],
) -> None:
    """Call what is to be called after *attempt*. What a hook raises is logged, and no more.

    A cancellation ends the hooks: the outcome is decided, and is recorded in any case. Raises
    only what *is_of_others*.
    """
    task = asyncio.current_task()
    assert task is not None
    for hook, *args in _due(attempt, decision, result):
        cancellations = task.cancelling()
        try:
            async with asyncio.timeout(HOOK_TIMEOUT):
                await hooks.call(hook, attempt.context(), *args)
        except BaseException as error:
            if is_of_others(attempt, error):
                raise
            if isinstance(error, asyncio.CancelledError) and task.cancelling() > cancellations:
                return  # ours: one of the hook's own, as from a future, is an error of its
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
    name = getattr(hook, "__qualname__", None) or represent(hook)
    facts = {"hook": name, "job": attempt.row.name, "id": attempt.row.id, "error": represent(error)}
    try:
        log.error("hook.failed", **facts, exc_info=error)
    except BaseException:  # noqa: BLE001 - whatever the error's class does to its traceback
        with contextlib.suppress(BaseException):  # a log that fails must not cost the outcome
            log.error("hook.failed", **facts)


def _due(
    attempt: Attempt, decision: Decision, result: Any
) -> Iterator[tuple[Callable[..., Any], Any] | tuple[Callable[..., Any]]]:
    state, error = decision.outcome.state, decision.error
    around = attempt.around
    if around is None or state == "available":  # given back: this attempt did not happen
        return
    if attempt.refusal is None:
        yield from ((hook,) for hook in around.after_perform)
    if state == "succeeded":
        yield from ((hook, result) for hook in around.after_success)
    if error is not None and state in {"failed", "scheduled"}:
        yield from ((hook, error) for hook in around.after_failure)
    if error is not None and state in {"failed", "cancelled"}:
        yield from ((hook, error) for hook in around.on_discard)
