"""Below which path an app is mounted, whatever a proxy has taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope


def root_within(scope: Scope) -> str:
    """Return the part of the root path that the path begins with; the whole, if it does.

    By the ASGI specification the path has all of it. With ``FastAPI(root_path="/x")`` behind a
    proxy that takes ``/x`` away it has not: an app that is mounted at ``/jobs`` is asked for
    ``/jobs/workers`` below ``/x/jobs``.
    """
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    while root and path != root and not path.startswith(root + "/"):
        _, slash, rest = root[1:].partition("/")
        root = slash + rest
    return root
