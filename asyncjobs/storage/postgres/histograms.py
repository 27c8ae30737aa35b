"""Adding up histograms: thousands of them, of dozens of classes each, for one look at a week.

In PostgreSQL's binary format of an ``integer[]`` each element has eight bytes: its length,
which is 4, and its value. Taken as one big number, such an array has a digit of 64 bits for
each class, and adding two numbers adds all classes at once.
"""

from __future__ import annotations

import struct

from asyncjobs.statistics import CLASSES

HEADER = 20
"""Bytes: dimensions, flags, type, length, lower bound."""
SIZE = 8 * CLASSES
LENGTHS = int.from_bytes(struct.pack(">II", 4, 0) * CLASSES, "big")


class HistogramSum:
    """The sum of histograms as `array_send` tells them."""

    __slots__ = ("_total",)

    def __init__(self) -> None:
        self._total = 0

    def add(self, sent: bytes) -> None:
        """Add one. What somebody made of other elements counts nothing."""
        if len(sent) == HEADER + SIZE:
            self._total += int.from_bytes(sent[HEADER:], "big") - LENGTHS

    def counts(self) -> list[int]:
        """Return the sum, class by class."""
        return list(struct.unpack(f">{CLASSES}Q", self._total.to_bytes(SIZE, "big")))
