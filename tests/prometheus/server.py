"""A Prometheus of one test."""

from __future__ import annotations

import asyncio
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import httpx
import yaml

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

PATIENCE = 60.0


class Prometheus:
    """It runs as long as the context does."""

    def __init__(
        self, program: str, folder: Path, port: int, configuration: dict[str, Any]
    ) -> None:
        self._program, self._folder, self._port = program, folder, port
        self._configuration, self._log = configuration, folder / "prometheus.log"
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self._stop()

    def _start(self) -> None:
        file = self._folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(self._configuration), encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={file}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    async def query(self, query: str) -> list[dict[str, Any]]:
        """Return the samples that *query* gives now."""
        found: list[dict[str, Any]] = (await self._ask("query", query=query))["result"]
        return found

    async def label_values(self, label: str, series: str) -> list[str]:
        """Return what values *label* has in *series*."""
        found: list[str] = await self._ask(f"label/{label}/values", **{"match[]": series})
        return found

    async def rules(self) -> dict[str, dict[str, Any]]:
        """Return what has become of each rule, by the name of its alert."""
        groups = (await self._ask("rules"))["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait for what can only be seen by asking."""
        deadline = time.monotonic() + PATIENCE
        while not await self._holds(condition):
            log = self._log.read_text(encoding="utf-8")
            assert self._process.poll() is None, log
            assert time.monotonic() < deadline, log
            await asyncio.sleep(0.2)

    async def _holds(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await condition()
        except httpx.TransportError:  # it does not listen yet
            return False

    async def _ask(self, path: str, **parameters: str) -> Any:
        answer = await self._client.get(f"/api/v1/{path}", params=parameters)
        if answer.status_code == 503:  # it reads its data yet
            raise httpx.ConnectError(answer.text)
        told = answer.json()
        assert told["status"] == "success", told
        return told["data"]
