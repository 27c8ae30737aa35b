"""Whether what was stored survives a crash of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.doctor.finding import Finding, bad, good, warning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.doctor.examination import Examination


async def durability(exam: Examination) -> AsyncIterator[Finding]:
    """What a crash of the server or of its machine loses."""
    server = await exam.server()
    unsafe = [name for name in ("fsync", "full_page_writes") if server[name] != "on"]
    for name in unsafe:
        yield bad(
            f"{name} is off.",
            "A crash of the server's machine may destroy the whole database.",
            f"alter system set {name} = on; select pg_reload_conf();",
        )
    if server["synchronous_commit"] == "off":
        yield warning(
            "synchronous_commit is off.",
            "A crash of the server may lose jobs whose later() had returned, of up to 0.6 s, and "
            "may run jobs again that had succeeded.",
            "alter system reset synchronous_commit; select pg_reload_conf(); and look for it in "
            "the settings of the user and of the database (\\drds in psql).",
        )
    elif not unsafe:
        yield good(
            f"Commits are durable: fsync, full_page_writes, and synchronous_commit "
            f"{server['synchronous_commit']}."
        )
