"""What is to be told, metric by metric, in the classes of prometheus_client."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from asyncjobs.metrics.catalogue import METRICS
from asyncjobs.statistics import bound_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.core import Metric as Family

    from asyncjobs.metering import Meter
    from asyncjobs.metrics.catalogue import Metric

F = TypeVar("F", GaugeMetricFamily, CounterMetricFamily, HistogramMetricFamily)

CLASSES = (20, 24, 28, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 56, 60, 64, 68)
"""Of the 72 classes of durations those that are told: a millisecond to 4.5 hours, each twice as
long as the one before from 60 ms to a minute, and four times beyond."""
BOUNDS = tuple(bound_of(number) for number in CLASSES)


class Sheet(Collector):
    """Samples of the metrics of the catalogue."""

    def __init__(self) -> None:
        self._families: dict[Metric, Family] = {}

    def collect(self) -> Iterator[Family]:
        """Return what was added, in the order of the catalogue."""
        yield from (self._families[one] for one in METRICS if one in self._families)

    def gauge(self, metric: Metric, value: float, *labels: str) -> None:
        """Add a value of *metric*."""
        self._family(metric, GaugeMetricFamily).add_metric(labels, value)

    def counter(self, metric: Metric, value: float, *labels: str) -> None:
        """Add a value of *metric*."""
        self._family(metric, CounterMetricFamily).add_metric(labels, value)

    def durations(
        self, metric: Metric, classes: Sequence[int], seconds: float, *labels: str
    ) -> None:
        """Add a histogram as `asyncjobs.statistics` keeps it."""
        counts, last = [], 0
        for number in CLASSES:
            counts.append(sum(classes[last : number + 1]))
            last = number + 1
        self._histogram(metric, BOUNDS, [*counts, sum(classes[last:])], seconds, labels)

    def meter(self, metric: Metric, meter: Meter, *labels: str) -> None:
        """Add what a meter counted."""
        self._histogram(metric, meter.bounds, meter.counts, meter.total, labels)

    def _histogram(
        self,
        metric: Metric,
        bounds: Sequence[float],
        counts: Sequence[int],
        total: float,
        labels: Sequence[str],
    ) -> None:
        buckets, sofar = [], 0
        for bound, count in zip((*bounds, float("inf")), counts, strict=True):
            sofar += count
            buckets.append((_text(bound), sofar))
        self._family(metric, HistogramMetricFamily).add_metric(labels, buckets, total)

    def _family(self, metric: Metric, kind: type[F]) -> F:
        family = self._families.get(metric)
        if family is None:
            family = self._families[metric] = kind(metric.name, metric.help, labels=metric.labels)
        assert isinstance(family, kind)
        return family


def _text(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else repr(float(bound))
