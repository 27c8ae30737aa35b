"""Log lines that say which trace they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def add_trace_context(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add ``trace_id`` and ``span_id`` of the present span to a line; a structlog processor.

    Lines outside of a span, and what a line says itself, stay as they are.
    """
    present = get_current_span().get_span_context()
    if present.is_valid:
        event.setdefault("trace_id", format_trace_id(present.trace_id))
        event.setdefault("span_id", format_span_id(present.span_id))
    return event
