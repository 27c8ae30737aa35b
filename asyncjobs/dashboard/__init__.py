"""The dashboard: what is going on, and the button for it.

``app.mount("/jobs", jobs.dashboard(auth=...))`` serves it inside of any ASGI app;
``asyncjobs dashboard`` serves it alone. Needs the extra ``asyncjobs-pg[dashboard]``.

Requests pass, from the outside in: `headers` (what browsers may do with an answer), `guard`
(who asks, and whether a form of ours was sent), then a page or the JSON API. Pages read through
a `Desk`, and whatever changes something goes through `actions`, where it is allowed and logged.
"""

from asyncjobs.auth import Auth, Identity
from asyncjobs.dashboard.app import Dashboard, create_dashboard
from asyncjobs.dashboard.dependency import by_dependency
from asyncjobs.dashboard.passwords import hash_password, password
from asyncjobs.glance.redaction import Redact

__all__ = [
    "Auth",
    "Dashboard",
    "Identity",
    "Redact",
    "by_dependency",
    "create_dashboard",
    "hash_password",
    "password",
]
