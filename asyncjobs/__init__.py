"""Background jobs for async Python web apps, on the PostgreSQL you already have."""
