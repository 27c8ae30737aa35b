"""Jobs in PostgreSQL 14 and later, by asyncpg."""

from asyncjobs.storage.postgres.adapter import PostgresAdapter

__all__ = ["PostgresAdapter"]
