"""Jobs in PostgreSQL 14 and later, by asyncpg."""

from asyncjobs.storage.postgres.adapter import PostgresAdapter
from asyncjobs.storage.postgres.capabilities import Capabilities

__all__ = ["Capabilities", "PostgresAdapter"]
