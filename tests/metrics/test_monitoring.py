"""The page, the dashboard of Grafana and the alerts speak of metrics that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from asyncjobs.metrics.catalogue import CLUSTER, METRICS, PROCESS, Metric
from tests.monitoring import ALERTS, GRAFANA, PAGE, queries

BY_SERIES = {
    metric.name + ending: metric
    for metric in METRICS
    for ending in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
}
ADDED = {"le", "instance"}
"""Labels of histograms, and that Prometheus adds."""
SERIES = re.compile(r"\b(asyncjobs_\w+)(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def unknown(query: str) -> set[str]:
    """Names of series and labels in *query* that are not exported."""
    found, labels = set(), set[str]()
    for name, chosen in SERIES.findall(query):
        if name not in BY_SERIES:
            found.add(name)
            continue
        known = {*BY_SERIES[name].labels, *ADDED}
        labels |= known
        found |= set(re.findall(r"(\w+)\s*=", chosen)) - known
    grouped = {name.strip() for group in GROUPED.findall(query) for name in group.split(",")}
    return found | (grouped - labels)


@pytest.mark.parametrize("query", queries())
def test_every_query_of_the_dashboard_asks_for_what_is_exported(query: str) -> None:
    assert SERIES.search(query)
    assert unknown(query) == set()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_asks_for_what_is_exported_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert SERIES.search(rule["expr"])
    assert unknown(rule["expr"]) == set()
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert len(notes["description"]) > 80
    grouped = {name.strip() for group in GROUPED.findall(rule["expr"]) for name in group.split(",")}
    by = grouped | {label for metric in PROCESS for label in metric.labels}
    assert set(re.findall(r"\$labels\.(\w+)", str(notes))) <= by
    row = re.search(rf"^\| `{rule['alert']}` \| (\w+) \| .+ \|$", PAGE, re.MULTILINE)
    assert row is not None
    assert row[1] == rule["labels"]["severity"]


def test_a_query_for_what_is_not_exported_is_noticed() -> None:
    assert unknown("sum by (queue, colour) (asyncjobs_jobs{shape='x'})") == {"colour", "shape"}
    assert unknown("asyncjobs_job_run_seconds > 1") == {"asyncjobs_job_run_seconds"}
    assert unknown("asyncjobs_jbos") == {"asyncjobs_jbos"}


def test_what_is_in_the_dashboard_does_not_overlap_and_is_named_once() -> None:
    ids = [panel["id"] for panel in GRAFANA["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set[tuple[int, int]]()
    for panel in GRAFANA["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    variables = {variable["name"] for variable in GRAFANA["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(GRAFANA["panels"])))
    assert used <= variables | {"__rate_interval"}
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)


def test_the_dashboard_leaves_no_metric_out() -> None:
    text = " ".join([*queries(), *(rule["expr"] for rule in ALERTS)])
    asked = {BY_SERIES[name] for name, _ in SERIES.findall(text)}
    assert {metric.name for metric in set(METRICS) - asked} == {
        "asyncjobs_build_info", "asyncjobs_job_names_untold",
    }  # fmt: skip


@pytest.mark.parametrize(("part", "metrics"), [("cluster", CLUSTER), ("process", PROCESS)])
def test_the_page_has_every_metric(part: str, metrics: tuple[Metric, ...]) -> None:
    _, _, table = PAGE.partition(f"<!-- metrics: {part} -->\n")
    rows = [line.strip("|").split(" | ") for line in table.partition("\n\n")[0].splitlines()[2:]]
    told = [tuple(cell.strip() for cell in row) for row in rows]
    assert told == [
        (
            f"`{metric.name}`",
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.help,
        )
        for metric in metrics
    ]


def test_names_are_as_prometheus_wants_them() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"asyncjobs_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".")
        assert "job" not in metric.labels  # what Prometheus calls a target
    assert len(BY_SERIES) == len({*BY_SERIES})
    assert len({metric.name for metric in METRICS}) == len(METRICS)
