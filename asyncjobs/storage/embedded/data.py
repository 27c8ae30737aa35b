"""The data folder: where it is, who may use it, how it begins."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from asyncjobs.errors import EmbeddedPostgresError
from asyncjobs.storage.embedded.account import closed_folder, process_options, service_account
from asyncjobs.storage.embedded.binaries import VARIABLE, major_version

if TYPE_CHECKING:
    import pwd
    from collections.abc import Iterator

FOLDERS_FOR_ROOT = Path("/var/lib/asyncjobs")
SOCKET_PATH_LIMIT = 103
"""Bytes. The kernel's field holds 104 on macOS and 108 on Linux, one of them a final NUL."""


def default_data_dir(project: Path) -> Path:
    """Return the data folder of the project in the folder *project*.

    That is ``.asyncjobs/postgres`` in it. Under root the server runs as another user; where
    that user cannot enter the project it is a folder of root's in ``/var/lib/asyncjobs``.
    """
    project = project.resolve()
    data = project / ".asyncjobs" / "postgres"
    if os.geteuid() != 0:
        return data
    account = service_account(data)
    if account is None or closed_folder(data.parent, account) is None:
        return data
    return FOLDERS_FOR_ROOT / hashlib.sha256(os.fsencode(project)).hexdigest()[:16] / "postgres"


def log_path(data: Path) -> Path:
    """Return the file beside *data* that takes PostgreSQL's output."""
    return data.with_name(f"{data.name}.log")


def open_log(data: Path) -> BinaryIO:
    """Open the log to append to it."""
    # No symlink is followed: root may be writing beside data in somebody else's folder.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    return open(os.open(log_path(data), flags, 0o644), "ab")


@contextlib.contextmanager
def exclusive(data: Path) -> Iterator[int]:
    """Let one process at a time start a server on *data*; the others wait.

    The value is the descriptor of the lock. A child that inherits it keeps the lock until
    its own end, whatever becomes of this process.
    """
    with open_log(data) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def make_parents(data: Path) -> None:
    """Make the folders above *data* that are missing; under root all users may enter them."""
    missing = [folder for folder in data.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            folder.chmod(0o755)  # whatever the umask: the server's user passes


def prepare(
    data: Path, bindir: Path, account: pwd.struct_passwd | None, *, lock: int, sync: bool
) -> None:
    """Make *data* a folder that the server in *bindir* can run on, or leave it if it is one.

    *lock* comes from `exclusive`; without *sync* a new folder may not survive a power cut.

    Raises EmbeddedPostgresError if it belongs to another version, or cannot be used.
    """
    if account is not None and (closed := closed_folder(data.parent, account)):
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and the user {account.pw_name} cannot enter "
            f"{closed} on the way to {data}: chmod o+x {closed} or choose another data folder"
        )
    if (data / "PG_VERSION").exists():
        _check_version(data, bindir, account)
    elif data.exists() and any(data.iterdir()):
        raise EmbeddedPostgresError(f"{data} has files in it, but no PostgreSQL data")
    else:
        _initialize(data, bindir, account, lock, sync=sync)


def socket_folder(data: Path) -> str:
    """Return the setting ``unix_socket_directories``: *data*, or nothing where it cannot be."""
    longest = os.fsencode(data / ".s.PGSQL.65535")
    fits = len(longest) <= SOCKET_PATH_LIMIT and not set('",') & set(str(data))
    return str(data) if fits else ""


def _check_version(data: Path, bindir: Path, account: pwd.struct_passwd | None) -> None:
    written_by = (data / "PG_VERSION").read_text().strip()
    if written_by != (ours := major_version(bindir, account)):
        raise EmbeddedPostgresError(
            f"{data} was written by PostgreSQL {written_by}, but {bindir} holds PostgreSQL "
            f"{ours}: set {VARIABLE} to the programs of version {written_by}, or move the "
            "folder away to begin with an empty one"
        )


def _initialize(
    data: Path, bindir: Path, account: pwd.struct_passwd | None, lock: int, *, sync: bool
) -> None:
    staging = data.with_name(f"{data.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    if account is not None:
        os.chown(staging, account.pw_uid, account.pw_gid, follow_symlinks=False)
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"]
    options += [] if sync else ["--no-sync"]
    done = subprocess.run(  # noqa: S603 - the user's own programs
        [bindir / "initdb", "-D", staging, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        pass_fds=[lock],  # killed in here, we leave an initdb that still writes: it is waited for
        text=True,
        check=False,
        start_new_session=True,  # Ctrl-C in the terminal is for us; we are waited for
        **process_options(account),
    )
    if done.returncode != 0:
        shutil.rmtree(staging, ignore_errors=True)
        raise EmbeddedPostgresError(f"initdb failed for {data}:\n{done.stdout.strip()}")
    staging.rename(data)
