"""The part of a manager that shows what is going on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.redaction import Redact


class Showing:
    """What `JobManager` offers of the dashboard and of metrics, which are extras and above it."""

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
        dashboard = _extra("dashboard", "the dashboard needs")
        return dashboard.create_dashboard(
            self,
            adapter=adapter,
            auth=auth,
            read_only=read_only,
            redact=redact,
            title=title,
        )

    def metrics(
        self,
        *,
        auth: Callable[[Any], Any] | None = None,
        token: str | None = None,
        public: bool = False,
        cluster: bool = True,
        process: bool = True,
    ) -> Any:
        """Return numbers for Prometheus, as an ASGI app: ``app.add_route("/metrics", …)``.

        Without *auth*, *token* or *public* they are answered only on this machine. *auth* is
        as for `dashboard`; *token* is what a scraper has to send as a bearer token; with
        *public* anybody is answered. *cluster* are the numbers from the database, which are
        the same whichever process tells them; *process* those of this process.

        Needs the extra ``asyncjobs-pg[prometheus]``. Raises ConfigError.
        """
        metrics = _extra("metrics", "metrics need", extra="prometheus")
        return metrics.create_metrics(
            self, auth=auth, token=token, public=public, cluster=cluster, process=process
        )


def _extra(module: str, who: str, *, extra: str | None = None) -> Any:
    try:
        return importlib.import_module(f"asyncjobs.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("asyncjobs"):
            raise
        raise ConfigError(
            f"{who} {error.name}: pip install 'asyncjobs-pg[{extra or module}]'"
        ) from error
