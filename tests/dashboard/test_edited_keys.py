"""A key that cannot be made of edited arguments is refused, and tells nothing hidden."""

from __future__ import annotations

import json
from html import unescape
from typing import TYPE_CHECKING, Any

import structlog

from tests.dashboard.test_hidden import form_of, retry, send

if TYPE_CHECKING:
    from tests.dashboard.sites import Site


async def test_a_key_that_cannot_be_made_is_refused_and_tells_nothing_hidden(site: Site) -> None:
    def key_of(pin: str, place: str) -> str:
        if not place:
            raise ValueError(f"no place for {pin}")
        return f"{place}"

    @site.jobs.job(concurrency_key=key_of)
    async def unlock(pin: str, place: str) -> None: ...

    @site.jobs.job(concurrency_key="{place}")
    async def ring(pin: str, place: str) -> None: ...

    async def refused(call: Any, redact: list[str]) -> str:
        job = await site.later(call, wait=3600)
        edited = {"pin": "[hidden]" if redact else "4711", "place": ""}
        async with site.asking(redact=redact) as browser:
            with structlog.testing.capture_logs() as logs:
                answer = await send(browser, job.id, edited)
                assert answer.status_code == 400
                text = json.dumps(edited)
                assert "pin" in await form_of(browser, job.id)
                form = await retry(browser, job.id, text)
                assert form.status_code == 422
        record = await site.later.get(job.id)
        assert record is not None
        assert (record.state, record.lane) == ("scheduled", "key:hall")
        return f"{answer.text}\n{unescape(form.text)}\n{logs}"

    told = await refused(unlock("4711", "hall"), [])
    assert told.count("no place for 4711") >= 2
    told = await refused(unlock("4711", "hall"), ["pin"])
    assert "4711" not in told
    assert told.count("the concurrency key cannot be made of this; what is wrong is not told") >= 2
    told = await refused(ring("4711", "hall"), ["pin"])
    assert told.count("must be printable and not empty") >= 2
