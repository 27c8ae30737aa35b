"""How what somebody edited without seeing all of it is put together with what they did not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncjobs.redaction import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ABSENT = object()
"""Stands for what is stored and not shown at all."""


class HiddenError(ValueError):
    """What is hidden cannot be put back, as it cannot be told where it belongs."""


def restore(edited: dict[str, Any], shown: dict[str, Any], stored: dict[str, Any]) -> Any:
    """Return the arguments *edited* with what is hidden put back as it is *stored*.

    What is as it was *shown* was not edited, and what was not shown could not be. Raises
    HiddenError where something hidden is meant and it cannot be told what: in a list that was
    changed in more than what is hidden of it, and where nothing is hidden.
    """
    return edited if is_same(shown, stored) else _restore(edited, shown, stored, ())


def is_same(one: Any, other: Any) -> bool:
    """Return whether both are the same JSON. To Python's ``==`` true is 1, and NaN not NaN."""
    return _is_same(one, other, type)


def _is_same(one: Any, other: Any, kind_of: Callable[[Any], type]) -> bool:
    if (kind := kind_of(one)) is not kind_of(other):
        return False
    if kind is dict:
        return one.keys() == other.keys() and all(
            _is_same(value, other[name], kind_of) for name, value in one.items()
        )
    if kind is list:
        return len(one) == len(other) and all(
            _is_same(*pair, kind_of) for pair in zip(one, other, strict=True)
        )
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN


def _kind_in_scripts(value: Any) -> type:
    # A program in JavaScript sends 1 back where it was told 1.0.
    return float if type(value) is int else type(value)


def _restore(edited: Any, shown: Any, stored: Any, path: tuple[str, ...]) -> Any:
    if is_same(edited, shown):
        return stored
    kinds = {type(edited), type(shown), type(stored)}
    if kinds == {dict}:
        unseen = {name: value for name, value in stored.items() if name not in shown}
        return unseen | {
            name: _restore(value, shown[name], stored[name], (*path, name))
            if name in shown and name in stored
            else _given(value, (*path, name))
            for name, value in edited.items()
            if name in stored or name not in shown or not is_same(value, shown[name])
        }
    if kinds == {list} and not is_same(shown, stored):
        if _is_same_but_for_hidden(edited, shown, stored):
            together = enumerate(zip(edited, shown, stored, strict=True))
            return [_restore(*parts, (*path, str(place))) for place, parts in together]
        _refuse_marks(edited, list(_marks(shown, stored)), path)
    return _given(edited, path)


def _given(value: Any, path: tuple[str, ...]) -> Any:
    if HIDDEN in _parts(value):
        raise HiddenError(f"{_place(path)}: {HIDDEN!r} is there, where nothing stored is hidden")
    return value


def _refuse_marks(edited: list[Any], marks: list[Any], path: tuple[str, ...]) -> None:
    if edited and (ABSENT in marks or any(part in marks for part in _parts(edited))):
        raise HiddenError(
            f"{_place(path)}: of a list with something hidden in it only the whole, or what is "
            "hidden, can be edited, as it cannot be told otherwise what belongs where"
        )


def _is_same_but_for_hidden(edited: Any, shown: Any, stored: Any) -> bool:
    if _is_same(edited, shown, _kind_in_scripts):
        return True
    if is_same(shown, stored):
        return False
    kinds = {type(edited), type(shown), type(stored)}
    if kinds == {dict}:
        return edited.keys() == shown.keys() and all(
            _is_same_but_for_hidden(edited[name], value, stored.get(name, value))
            for name, value in shown.items()
        )
    if kinds == {list}:
        return len(edited) == len(shown) == len(stored) and all(
            map(_is_same_but_for_hidden, edited, shown, stored)
        )
    return True  # it was hidden, and is given anew


def _marks(shown: Any, stored: Any) -> Iterator[Any]:
    """Return what is shown in place of something else."""
    if is_same(shown, stored):
        return
    if isinstance(shown, dict) and isinstance(stored, dict):
        for name, value in stored.items():
            yield from _marks(shown[name], value) if name in shown else [ABSENT]
    elif isinstance(shown, list) and isinstance(stored, list):
        if len(shown) != len(stored):
            yield ABSENT
        for one, other in zip(shown, stored, strict=False):
            yield from _marks(one, other)
    else:
        yield shown


def _parts(value: Any) -> Iterator[Any]:
    left = [value]
    while left:
        yield (part := left.pop())
        if isinstance(part, dict | list):
            left.extend(part.values() if isinstance(part, dict) else part)


def _place(path: tuple[str, ...]) -> str:
    inside = f" at {'.'.join(path[1:])}" if path[1:] else ""
    return f"argument {path[0]!r}{inside}" if path else "arguments"
