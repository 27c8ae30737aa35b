"""Alerts are raised when `docs/metrics.md` says so, and not before: by Prometheus' own tool."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.monitoring import ALERTS, ALERTS_FILE
from tests.prometheus.cases import CASES, Quiet, Raised

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULES = {rule["alert"]: rule for rule in ALERTS}


def test_promtool_takes_the_alerts(promtool: Callable[..., str]) -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", str(ALERTS_FILE))


def test_each_alert_has_a_case() -> None:
    assert {case.alert for case in CASES if isinstance(case, Raised)} == set(RULES)


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.alert}-{type(case).__name__}" for case in CASES]
)
def test_it_is_raised_then(
    promtool: Callable[..., str], tmp_path: Path, case: Raised | Quiet
) -> None:
    file = tmp_path / "test.yml"
    content = {
        "rule_files": [str(ALERTS_FILE)],
        "evaluation_interval": "1m",
        "tests": [as_test(case)],
    }
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    promtool("test", "rules", str(file))


def test_a_case_that_is_wrong_is_noticed(promtool: Callable[..., str], tmp_path: Path) -> None:
    case = next(case for case in CASES if isinstance(case, Raised))
    too_early = Raised(case.alert, case.quiet - 1, case.raised - 1, case.summary)
    with pytest.raises(AssertionError, match=case.alert):
        test_it_is_raised_then(promtool, tmp_path, too_early)


def as_test(case: Raised | Quiet) -> dict[str, Any]:
    """Return *case* as `promtool` wants it."""
    minutes = case.minutes if isinstance(case, Quiet) else (case.quiet,)
    looks = [
        {"alertname": case.alert, "eval_time": f"{minute}m", "exp_alerts": []} for minute in minutes
    ]
    if isinstance(case, Raised):
        looks.append(
            {
                "alertname": case.alert,
                "eval_time": f"{case.raised}m",
                "exp_alerts": [expected(case)],
            }
        )
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    return {"interval": "1m", "input_series": series, "alert_rule_test": looks}


def expected(case: Raised) -> dict[str, Any]:
    """Return what must be told."""
    rule = RULES[case.alert]
    description = re.sub(
        r"\{\{ \$labels\.(\w+) \}\}",
        lambda found: case.labels[found[1]],
        rule["annotations"]["description"],
    )
    return {
        "exp_labels": {**case.labels, **rule["labels"]},
        "exp_annotations": {"summary": case.summary, "description": description},
    }
