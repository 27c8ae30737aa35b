"""The routes whose path has a number in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Match, Route

if TYPE_CHECKING:
    from starlette.types import Scope


class JobRoute(Route):
    """A route that a number of any length does not break: int() takes up to 4,300 digits."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether *scope* is of this route; a number that is too long is of none."""
        try:
            return super().matches(scope)
        except ValueError:
            return Match.NONE, {}
