"""Lay out what the site is made of, in ``build/docs``: ``make docs`` runs Zensical on it next.

The layout is the repository's, so that a link that works on GitHub works on the site as it
stands. Made here are the pages of the reference, one directive of mkdocstrings for each public
name, and ``llms.txt`` and ``llms-full.txt``, which programs that read documentation ask for.
"""

from __future__ import annotations

import inspect
import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncjobs
import asyncjobs.errors
import asyncjobs.testing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[2]
LAID_OUT = ROOT / "build" / "docs"
PAGES = ("*.md", "docs/*.md", "benchmarks/RESULTS*.md", "examples/fastapi_app/README.md")
FILES = ("docs/images/*", "docs/monitoring/*", "benchmarks/*.png")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def main() -> None:
    """Make ``build/docs`` anew."""
    shutil.rmtree(LAID_OUT, ignore_errors=True)
    for path in found(*PAGES, *FILES):
        there = LAID_OUT / path.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, there)
    for name, text in reference().items():
        there = LAID_OUT / "docs" / "reference" / name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text, encoding="utf-8")
    (LAID_OUT / "llms.txt").write_text(short_for_programs(), encoding="utf-8")
    (LAID_OUT / "llms-full.txt").write_text(full_for_programs(), encoding="utf-8")


def found(*patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def reference() -> dict[str, str]:
    """Return the pages of the reference, by file name: together they name all that is public."""
    names = [name for name in asyncjobs.__all__ if not is_error(getattr(asyncjobs, name))]
    return {
        "asyncjobs.md": page_of(asyncjobs, names, "`asyncjobs`"),
        "errors.md": page_of(asyncjobs.errors, errors_of(asyncjobs.errors), "`asyncjobs.errors`"),
        "testing.md": page_of(asyncjobs.testing, asyncjobs.testing.__all__, "`asyncjobs.testing`"),
    }


def is_error(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, asyncjobs.AsyncJobsError)


def errors_of(module: ModuleType) -> list[str]:
    return sorted(name for name, value in vars(module).items() if is_error(value))


def page_of(module: ModuleType, names: Iterable[str], title: str) -> str:
    directives = "\n\n".join(f"::: {module.__name__}.{name}" for name in names)
    return f"# {title}\n\n{directives}\n"


def pages_in_order() -> Iterator[tuple[str, Path]]:
    """Yield title and file of each page, as the navigation has them, without the reference."""
    with (ROOT / "zensical.toml").open("rb") as file:
        navigation = tomllib.load(file)["project"]["nav"]
    for title, name in leaves(navigation):
        if (ROOT / name).exists():
            yield title, ROOT / name


def leaves(entries: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        for title, inner in entry.items():
            if isinstance(inner, str):
                yield title, inner
            else:
                yield from leaves(inner)


def short_for_programs() -> str:
    lines = [f"- [{title}]({path.relative_to(ROOT)})" for title, path in pages_in_order()]
    return f"# asyncjobs\n\n> {asyncjobs.__doc__}\n\n## Pages\n\n" + "\n".join(lines) + "\n"


def full_for_programs() -> str:
    return "\n".join(from_the_root(path) for _, path in pages_in_order())


def from_the_root(path: Path) -> str:
    """Return the text of a page with its links as they are seen from the root."""

    def seen(link: re.Match[str]) -> str:
        target = (path.parent / link[1]).resolve()
        return f"]({target.relative_to(ROOT)}"

    return LINK.sub(seen, path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
