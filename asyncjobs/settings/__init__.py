"""What can be said by code, by the environment and by pyproject.toml, and what counts.

`catalogue` lists every setting, `sources` reads the places, `resolving` has the one order in
which they count, and `filling` applies it to the classes of users. `masking` hides secrets.
"""

from asyncjobs.settings.filling import Configured, configured
from asyncjobs.settings.masking import MASK, mask, mask_dsn
from asyncjobs.settings.resolving import (
    CODE,
    COMMAND_LINE,
    DEFAULT,
    Resolved,
    check_groups,
    find,
    override,
    resolve_all,
)

__all__ = [
    "CODE",
    "COMMAND_LINE",
    "DEFAULT",
    "MASK",
    "Configured",
    "Resolved",
    "check_groups",
    "configured",
    "find",
    "mask",
    "mask_dsn",
    "override",
    "resolve_all",
]
