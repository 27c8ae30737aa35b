"""Processes that are kept running: workers in the foreground, detached, or reloaded.

How they end, which is the hard part:

- A child is asked to end by SIGTERM, and to hurry by SIGINT after it. SIGTERM never means
  more than the first time, because a service manager may send it to every process at once
  and the supervisor passes it on: two of them must not cut running jobs off.
- A child leads a session of its own, so that Ctrl-C in a terminal reaches only the
  supervisor, and what does not end in time can be killed with all that it started.
- A child holds the reading end of a pipe, its lifeline. Nobody writes to it; it closes when
  the supervisor ends, by ``kill -9`` too, and the child then ends gracefully by itself.
"""

from asyncjobs.supervisor.child import Child, Exit
from asyncjobs.supervisor.daemon import Daemon
from asyncjobs.supervisor.group import DISMISSED, ProcessGroup
from asyncjobs.supervisor.reloader import Reloader
from asyncjobs.supervisor.supervisor import Supervisor

__all__ = ["DISMISSED", "Child", "Daemon", "Exit", "ProcessGroup", "Reloader", "Supervisor"]
