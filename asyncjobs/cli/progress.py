"""How far a command is that takes long, on the terminal and never in what it prints."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST = 2_000
"""Jobs that it is worth for: two batches."""


@contextlib.contextmanager
def progress_of(what: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Give what is to be told how many of *total* jobs are done, so far.

    It shows a bar on stderr, if that is a terminal and it is worth it, unless *quiet*.
    """
    console = Console(stderr=True)
    is_shown = console.is_terminal and not quiet and total >= LEAST
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not is_shown) as bar:
        task = bar.add_task(what, total=total)

        def show(done: int) -> None:
            bar.update(task, completed=done, total=max(done, total))

        yield show
