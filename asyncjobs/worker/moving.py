"""An exception on its way from one process to another."""

from __future__ import annotations

import pickle
from typing import Any

from asyncjobs.worker.outcome import message_of


def packed(error: BaseException) -> bytes:
    """Return *error* pickled, so that what is read is of its class and says the same.

    Many classes do not survive pickle, or say something else after it, because their arguments
    are not those of their base class. They are made anew without a call of their own. What
    cannot be moved at all becomes a RuntimeError with its name and message.
    """
    message, second_best = message_of(error), b""
    for form in (error, _Bare(error, error.args), _Bare(error, (message,))):
        try:
            found = pickle.dumps(form)
            read = pickle.loads(found)  # noqa: S301 - just packed here
        except BaseException:  # noqa: BLE001, S112 - the user's class
            continue
        if type(read) is type(error):
            if message_of(read) == message:
                return found
            second_best = second_best or found
    name = type(error).__qualname__
    return second_best or pickle.dumps(RuntimeError(f"{name}: {message}"))


class _Bare:
    """Is read as an exception of the class of another one, with *args* and its attributes."""

    def __init__(self, error: BaseException, args: tuple[Any, ...]) -> None:
        self._error, self._args = error, args

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_anew, (type(self._error), self._args, self._error.__dict__)


def _made_anew(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
