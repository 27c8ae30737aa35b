"""The command ``asyncjobs``: one module for each group of verbs.

Only here is structlog configured, are signals handled, and are processes ended.
"""

from asyncjobs.cli.main import main

__all__ = ["main"]
