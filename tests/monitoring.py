"""The alerts and the dashboard of Grafana that stand in `docs/monitoring`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
ALERTS_FILE = DOCS / "monitoring" / "alerts.yml"
ALERTS = [
    rule
    for group in yaml.safe_load(ALERTS_FILE.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
GRAFANA = json.loads((DOCS / "monitoring" / "grafana.json").read_text(encoding="utf-8"))


def queries() -> list[str]:
    """Return what the dashboard asks, with its variables."""
    panels = [panel for panel in GRAFANA["panels"] if panel["type"] != "row"]
    return [target["expr"] for panel in panels for target in panel["targets"]]
