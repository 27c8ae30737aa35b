"""Which storages a command looks at: those of an app, or one database without any."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from asyncjobs import settings
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings
    from asyncjobs.manager import JobManager
    from asyncjobs.storage.protocol import Storage

NAMELESS = "database"
"""What a storage is called that no app gives a name."""


@dataclass(frozen=True, slots=True)
class Target:
    """Storages by name, and the app that they are of."""

    storages: dict[str, Storage] = field(default_factory=dict)
    jobs: JobManager | None = None

    @classmethod
    def find(cls, options: Settings, *, dsn: str | None, schema: str | None) -> Self:
        """Return the app's storages; with *dsn*, or without an app, that one database.

        Raises AppNotFoundError if an app is named and cannot be imported, ConfigError.
        """
        if dsn is None and settings.find("app", options.app) is not None:
            if schema is not None:
                raise ConfigError("--schema goes with --dsn; the app's adapters have their own")
            jobs = options.reference().load()
            return cls(dict(jobs.adapters), jobs)
        from asyncjobs.storage.postgres import PostgresAdapter  # noqa: PLC0415 - an app may do without

        adapter = PostgresAdapter(dsn) if schema is None else PostgresAdapter(dsn, schema=schema)
        return cls({NAMELESS: adapter})

    @property
    def worked(self) -> list[Storage]:
        """Those that a worker group of the app works; without an app, all."""
        if self.jobs is None:
            return list(self.storages.values())
        names = {group.adapter for group in self.jobs.workers if group.count}
        return [storage for name, storage in self.storages.items() if name in names]

    def schema_of(self, name: str) -> str | None:
        """Return the schema of the storage *name*; None if it has none."""
        found: str | None = getattr(self.storages[name], "schema", None)
        return found
