"""Numbers for Prometheus: how it stands with queues, jobs, schedules, workers and the database.

``app.add_route("/metrics", jobs.metrics())`` serves them inside of any Starlette or FastAPI
app; ``asyncjobs metrics`` serves them alone, and ``asyncjobs work --metrics-port`` those of
each worker. Needs the extra ``asyncjobs-pg[prometheus]``.

`catalogue` has every metric, `reading` asks a storage, `exposition` writes down what was read,
and `app` answers whoever may see it.
"""

from asyncjobs.auth import Auth, Identity
from asyncjobs.metrics.app import Metrics, create_metrics

__all__ = ["Auth", "Identity", "Metrics", "create_metrics"]
