"""The user PostgreSQL runs as, and what that user can reach."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import EmbeddedPostgresError

if TYPE_CHECKING:
    from pathlib import Path


def service_account(data: Path) -> pwd.struct_passwd | None:
    """Return the user to become for a server on *data*, or None to stay who we are.

    Raises EmbeddedPostgresError if no user can run it.
    """
    if os.geteuid() == 0:
        return _account_for_root(data)
    if data.exists() and (owner := data.stat().st_uid) != os.geteuid():
        raise EmbeddedPostgresError(
            f"{data} belongs to the user with uid {owner}, this process runs as uid "
            f"{os.geteuid()}: run it as that user or choose another data folder"
        )
    _named(os.geteuid())
    return None


def process_options(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return what `subprocess` needs to run a program of PostgreSQL as *account*."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    options: dict[str, Any] = {"env": environment | {"LC_ALL": "C"}, "cwd": "/"}
    if account is not None:
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return options


def closed_folder(path: Path, account: pwd.struct_passwd) -> Path | None:
    """Return the first folder on the way to *path*, or itself, that *account* cannot enter."""
    path = path.resolve()
    for folder in (*reversed(path.parents), path):
        if folder.exists() and not _may_enter(folder, account):
            return folder
    return None


def _account_for_root(data: Path) -> pwd.struct_passwd:
    if (data / "PG_VERSION").exists() and (owner := data.stat().st_uid) != 0:
        return _named(owner)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedPostgresError(
        "PostgreSQL refuses to run as root, and there is neither a user postgres nor a user "
        "nobody to run it as: add one of them or run this as an ordinary user"
    )


def _named(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL looks up the name of the user it runs as, and uid {uid} has no entry "
            "in /etc/passwd: add one, run this as another user, or use a server elsewhere"
        ) from None


def _may_enter(path: Path, account: pwd.struct_passwd) -> bool:
    status = path.stat()
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.pw_gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)
