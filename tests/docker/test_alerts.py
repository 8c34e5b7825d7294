"""Alert rules and dashboard: they ask for metrics that exist, fire when they should, and say what to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from inkstream.gateway.metrics import Metrics
from inkstream.records import OUTCOMES
from inkstream.settings import home
from inkstream.stream.progress import StreamMetrics

PROMETHEUS = home() / "docker" / "prometheus"
DASHBOARD = home() / "docker" / "grafana" / "dashboards" / "inkstream.json"
STAGES = {"predict", "find", "tables", "topics", "batch", "shadow"}
SAMPLES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return panels


def _queries() -> dict[str, str]:
    """What is asked of Prometheus, by who asks."""
    asked = {rule.get("alert") or rule["record"]: rule["expr"] for rule in _rules()}
    for panel in _panels():
        asked |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel.get("targets", [])}
    return asked


def _registries() -> list[CollectorRegistry]:
    return [StreamMetrics().registry, Metrics()._registry]


def _exported() -> set[str]:
    """The names under which the code's metrics can be asked for."""
    metrics = [metric for registry in _registries() for metric in registry.collect()]
    return {metric.name + suffix for metric in metrics for suffix in SAMPLES[metric.type]}


def unknown_metrics(query: str) -> set[str]:
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    return set(re.findall(r"\binkstream[a-z0-9_:]+", query)) - _exported() - recorded


@pytest.mark.parametrize("who", sorted(_queries()))
def test_the_metrics_that_are_asked_for_are_exported(who: str) -> None:
    query = _queries()[who]
    assert re.search(r"\b(inkstream|up)", query)
    assert unknown_metrics(query) == set()
    assert set(re.findall(r'outcome!?="(\w+)"', query)) <= set(OUTCOMES)
    assert set(re.findall(r'stage!?="(\w+)"', query)) <= STAGES


def test_a_metric_that_nobody_exports_would_be_found() -> None:
    assert unknown_metrics("rate(inkstream_images[1m]) > inkstream_lag_images") == {"inkstream_images"}


def test_the_stages_are_those_that_the_stream_times() -> None:
    source = (home() / "lib" / "inkstream" / "stream" / "sink.py").read_text()
    calls = re.findall(r"report\.timed\(([^)]*)\)", source)
    assert {stage for call in calls for stage in re.findall(r'"(\w+)"', call)} == STAGES


def test_each_alert_has_its_lines_in_the_runbook() -> None:
    page = (home() / "docs" / "deployment.md").read_text()
    alerts = [rule for rule in _rules() if "alert" in rule]
    for rule in alerts:
        assert rule["annotations"]["runbook"] == f"docs/deployment.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("warning", "critical")
    told = re.findall(r"^### (\w+)\n\n(\w)", page.partition("\n## Alerts\n")[2], re.MULTILINE)
    assert [name for name, _ in told] == [rule["alert"] for rule in alerts]


def test_the_panels_are_told_apart_and_ask_the_source_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((PROMETHEUS.parent / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    [source] = provisioned["datasources"]
    panels = _panels()
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels) > 8
    for panel in panels:
        assert panel["type"] == "row" or panel["datasource"]["uid"] == source["uid"], panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)")
def test_each_alert_fires_in_its_course_of_events_and_only_then(tmp_path: Path) -> None:
    shutil.copy(PROMETHEUS / "alerts.yaml", tmp_path)
    shutil.copy(Path(__file__).with_name("alerts.yaml"), tmp_path / "events.yaml")
    configuration = (PROMETHEUS / "prometheus.yaml").read_text().replace("/etc/prometheus/", f"{tmp_path}/")
    (tmp_path / "prometheus.yaml").write_text(configuration)
    for arguments in (["check", "config", "prometheus.yaml"], ["test", "rules", "events.yaml"]):
        ended = subprocess.run(["promtool", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    events = yaml.safe_load((tmp_path / "events.yaml").read_text())["tests"]
    told = {test["alertname"] for event in events for test in event["alert_rule_test"] if "exp_alerts" in test}
    assert told == {rule["alert"] for rule in _rules() if "alert" in rule}
