"""The site has every page that it leads to, and all that is public is in its reference."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import asyncjobs
from asyncjobs import errors, testing

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``docs/site/build.py``, which has laid the site out in a folder of its own."""
    spec = importlib.util.spec_from_file_location("site_build", ROOT / "docs" / "site" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "site_build", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LAID_OUT", tmp_path / "docs")
    module.main()
    return module


def navigation(site: ModuleType) -> set[str]:
    text = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    return set(re.findall(r'= "([^"]+\.md)"', text))


def test_the_navigation_leads_to_pages_that_exist(site: ModuleType) -> None:
    missing = {name for name in navigation(site) if not (site.LAID_OUT / name).exists()}
    assert missing == set()


def test_every_page_is_in_the_navigation(site: ModuleType) -> None:
    pages = {path.relative_to(site.LAID_OUT).as_posix() for path in site.LAID_OUT.rglob("*.md")}
    assert pages - navigation(site) == set()


def test_the_reference_has_all_that_is_public(site: ModuleType) -> None:
    pages = (site.LAID_OUT / "docs" / "reference").glob("*.md")
    told = {name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)}
    public = {getattr(asyncjobs, name) for name in asyncjobs.__all__}
    public |= {getattr(testing, name) for name in testing.__all__}
    public |= {value for name, value in vars(errors).items() if name.endswith("Error")}
    assert {value for value in public if value not in {resolved(name) for name in told}} == set()


def resolved(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(sys.modules[module], attribute)


@pytest.mark.parametrize("name", ["llms.txt", "llms-full.txt"])
def test_the_links_for_programs_lead_to_files_of_the_site(site: ModuleType, name: str) -> None:
    text = (site.LAID_OUT / name).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", prose)
    assert len(links) > 20
    assert {link for link in links if not (site.LAID_OUT / link).exists()} == set()
