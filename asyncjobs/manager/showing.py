"""The part of a manager that shows what is going on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.redaction import Redact


class Showing:
    """What `JobManager` offers of `asyncjobs.dashboard`, which is an extra and above it."""

    redact: Redact
    """What of arguments neither dashboards nor commands show."""

    def dashboard(
        self,
        *,
        adapter: str | None = None,
        auth: Callable[[Any], Any] | None = None,
        read_only: bool = False,
        redact: Redact | None = None,
        title: str = "Jobs",
    ) -> Any:
        """Return a web page about the jobs, as an ASGI app: ``app.mount("/jobs", …)``.

        It shows *adapter*, or the only one there is. *auth* is a function, async or not, from
        a request to an `asyncjobs.dashboard.Identity`, or to None; without it the dashboard
        answers only on this machine. With *read_only* nobody changes anything. *redact* says
        what is hidden, in place of the manager's word: names, or a function of a job's name
        and its arguments that returns what to show of them.

        Needs the extra ``asyncjobs-pg[dashboard]``. Raises ConfigError, UnknownAdapterError.
        """
        try:
            dashboard = importlib.import_module("asyncjobs.dashboard")
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("asyncjobs"):
                raise
            raise ConfigError(
                f"the dashboard needs {error.name}: pip install 'asyncjobs-pg[dashboard]'"
            ) from error
        return dashboard.create_dashboard(
            self,
            adapter=adapter,
            auth=auth,
            read_only=read_only,
            redact=redact,
            title=title,
        )
