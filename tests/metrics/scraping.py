"""Asks an app for its metrics as Prometheus does, and reads the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

LOCAL = ("127.0.0.1", 50_000)


async def ask(
    app: Any,
    *,
    client: tuple[str, int] = LOCAL,
    host: str = "localhost",
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Send one request to *app*."""
    transport = httpx.ASGITransport(app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as browser:
        return await browser.request(method, "/metrics", headers=headers)


class Scrape:
    """What one answer says."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = {family.name: family for family in families}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """The value of the sample that has *labels*, perhaps among others; there must be one."""
        wanted = set(labels.items())
        [found] = [
            value
            for (known, given), value in self.samples.items()
            if known == f"asyncjobs_{name}" and wanted <= given
        ]
        return found

    def values(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The values of the samples that have *labels*, by another *label*."""
        wanted = set(labels.items())
        return {
            dict(given)[label]: value
            for (known, given), value in self.samples.items()
            if known == f"asyncjobs_{name}" and wanted <= given
        }

    def rising(self) -> dict[Any, float]:
        """The samples that must not become less."""
        return {
            key: value
            for key, value in self.samples.items()
            if key[0].endswith(("_total", "_bucket", "_count", "_sum"))
        }


async def scrape(app: Any) -> Scrape:
    """Return what *app* tells of itself to this machine."""
    answer = await ask(app)
    assert answer.status_code == 200, answer.text
    return Scrape(text_string_to_metric_families(answer.text))
