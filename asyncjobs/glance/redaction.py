"""What of stored jobs is not shown, and how it survives that they are edited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asyncjobs import redaction
from asyncjobs.errors import ArgumentError, ConcurrencyKeyError
from asyncjobs.glance.restoring import HiddenError, is_same, restore
from asyncjobs.glance.stored import arguments_of, has_readable_arguments
from asyncjobs.redaction import HIDDEN, Redact, readable

if TYPE_CHECKING:
    from asyncjobs.types import JobRecord

__all__ = ["HIDDEN", "Redact", "Redaction", "without_hidden"]


class Redaction(redaction.Redaction):
    """Hides what *redact* says of stored jobs. Raises ConfigError for a name without a list."""

    def arguments(self, job: str, args: dict[str, Any]) -> dict[str, Any]:
        """Return what may be shown of *args*, as JSON: a function may return anything."""
        shown = super().arguments(job, args)
        if self._shown is None:
            return shown
        try:
            text = json.dumps(shown, ensure_ascii=False)
            text.encode()
        except (TypeError, ValueError, RecursionError):
            return {"args": "[hidden: redact returned what is no JSON]"}
        found: dict[str, Any] = readable(text)
        return found

    def arguments_of(self, record: JobRecord) -> dict[str, Any]:
        """Return what may be shown of the arguments of a stored job."""
        return self.arguments(record.name, arguments_of(record))

    def unique_key_of(self, record: JobRecord) -> str | None:
        """Return what may be shown of what makes a stored job unique.

        It is a hash of the arguments, by which whoever knows most of them finds out the rest.
        """
        is_shown = has_readable_arguments(record) and (
            self.arguments_of(record) == arguments_of(record)
        )
        return record.unique_key if record.unique_key is None or is_shown else HIDDEN

    def restored(self, record: JobRecord, edited: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments *edited* by somebody who saw those of *record* as they are shown.

        Raises ArgumentError where it cannot be told what of the hidden ones belongs where, and
        for a job of whose arguments something cannot be shown.
        """
        if not has_readable_arguments(record):
            raise ArgumentError(
                record.name, "its stored arguments cannot all be shown, so not be edited", ()
            )
        stored = arguments_of(record)
        try:
            restored: dict[str, Any] = restore(edited, self.arguments_of(record), stored)
        except HiddenError as error:
            raise ArgumentError(record.name, str(error), ()) from None
        return restored


def without_hidden(
    error: ArgumentError | ConcurrencyKeyError, edited: dict[str, Any], restored: dict[str, Any]
) -> ArgumentError | ConcurrencyKeyError:
    """Return *error* about the arguments *restored*, or one that tells no value but of *edited*."""
    put_back = {
        name for name, value in restored.items() if not is_same(edited.get(name, HIDDEN), value)
    }
    meant = put_back if error.tells_of is None else put_back.intersection(error.tells_of)
    if not meant:
        return error
    names = ", ".join(map(repr, sorted(meant)))
    problem = f"what is wrong is not told, as something is hidden here of argument {names}"
    if isinstance(error, ConcurrencyKeyError):
        return ConcurrencyKeyError(error.job, f"cannot be made of this; {problem}", ())
    return ArgumentError(error.job, problem, ())
