"""The page on the doctor has every check."""

from __future__ import annotations

import re
from pathlib import Path

from asyncjobs.doctor.doctor import OF_SERVERS, OF_TABLES

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_the_page_has_every_check_in_their_order() -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- checks -->")
    table = rest.partition("\n\n")[0]
    names = [check.__name__ for check in (*OF_SERVERS,)]
    names += ["migrations", *(check.__name__ for check in OF_TABLES)]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == ["hosts", "connection", *names]
