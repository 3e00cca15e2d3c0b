"""A real Prometheus scrapes a running server; each query of the dashboard and each alert has a value, and its console shows them."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, Server, exchange, free_port, request, status, wait_for

DOCS = ROOT / "docs" / "operate"
RULES = DOCS / "sipsieve.rules.yml"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]

_CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: sipsieve
    static_configs: [{{targets: ["127.0.0.1:{metrics}"]}}]
"""


class Monitored:
    """A server, and the Prometheus that asks it."""

    def __init__(self, server: Server, metrics: int, prometheus: int) -> None:
        self.server = server
        self.metrics = metrics
        self._api = f"http://127.0.0.1:{prometheus}/api/v1/"

    def get(self, path: str, **query: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self._api}{path}?{urllib.parse.urlencode(query)}", timeout=5) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def console(self) -> str:
        """The page that Prometheus makes of the console; an error of it says where it is wrong."""
        address = self._api.replace("api/v1/", "consoles/sipsieve.console.html")
        with urllib.request.urlopen(address, timeout=20) as answer:
            page: str = answer.read().decode()
        return page

    def values(self, expression: str) -> list[float]:
        found = self.get("query", query=expression)
        return [float(series["value"][1]) for series in found["result"]] if found else []


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    folder: Path = tmp_path_factory.mktemp("metrics")
    metrics, port = free_port(), free_port()
    (folder / "prometheus.yml").write_text(_CONFIG.format(rules=RULES, metrics=metrics))
    with Server(
        folder,
        'network = [{cidr = "127.0.0.0/8", limits = {register = {per_minute = 100000}}}]\n',
        workers=2,
        environment={"SIPSIEVE_METRICS_PORT": str(metrics)},
    ) as server:
        prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.console.templates={DOCS}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Monitored(server, metrics, port)
        finally:
            prometheus.terminate()
            prometheus.wait(10)


def _traffic(server: Server) -> None:
    for _ in range(100):
        assert status(exchange(server, request("REGISTER"))) == 200
    assert status(exchange(server, request(headers=("User-Agent: EagleSIP",)))) == 403
    assert status(exchange(server, request(transport="TCP"), transport="tcp")) == 200


def test_each_query_and_alert_has_a_value(monitored: Monitored) -> None:
    seen = {"n": 0}

    def counted() -> bool:
        # Rates need two scrapes with growth in between.
        if seen["n"] < 3:
            seen["n"] += 1
            _traffic(monitored.server)
        allowed = monitored.values(
            'kamailio_sipsieve_messages_total{decision="allow",method="REGISTER",transport="udp"}'
        )
        return bool(allowed) and allowed[0] >= 300

    wait_for(counted, "Prometheus has what was sent", 60)
    for query in QUERIES:
        asked = query.replace("$__rate_interval", "1m").replace('"$instance"', '".*"')
        wait_for(lambda asked=asked: monitored.values(asked), f"a value of {asked}", 30)
    assert monitored.values('kamailio_sipsieve_findings_total{family="scanner"}') == [3.0]
    assert monitored.values('sum(kamailio_sipsieve_messages_total{transport="tcp"})') == [3.0]
    (group,) = monitored.get("rules")["groups"]
    rules = wait_for(lambda: _evaluated(monitored), "all rules are evaluated")
    assert len(rules) == len(group["rules"]) >= 9
    for rule in rules:
        assert rule["health"] == "ok", rule
        assert rule["state"] == "inactive", rule
        # An alert that does not fire has no value; what it compares must have one.
        compared = re.sub(r"\s*(?:>|<|==)\s*[\d.e+]+$", "", rule["query"])
        assert compared != rule["query"]
        wait_for(lambda compared=compared: monitored.values(compared), f"a value of {compared}", 30)


def test_the_console_shows_what_the_server_did(monitored: Monitored) -> None:
    _traffic(monitored.server)
    names = ("allow", "reject", "scanner", "REGISTER", "OPTIONS", "udp", "tcp")
    page = wait_for(
        lambda: (lambda page: page if all(f"<th>{name}</th>" in page for name in names) else "")(monitored.console()),
        "the console has what was sent",
        60,
    )
    assert '<b class="good">on</b>' in page
    # Each row has its share and its number, and the hour twelve pieces, of which the last has something.
    rows = re.findall(r'<rect width="([\d.]+)" height="8"/></svg></td>\s*<td>([\d.km]+)</td>', page)
    assert len(rows) >= len(names) and all(0 < float(share) <= 100 for share, _ in rows)

    def hour() -> list[float]:
        return [float(height) for height in re.findall(r'<rect width="10" height="([\d.]+)"/>', monitored.console())]

    pieces = wait_for(
        lambda: (lambda found: found if max(found) > 0 else [])(hour()), "the hour has its last piece", 60
    )
    assert len(pieces) == 12 and pieces[-1] == max(pieces) <= 100
    assert len(re.findall(r"<th>[^<]+ \S+</th><td>[\d.]+MiB</td>", page)) >= 2
    # Prometheus' own words for what it can't put somewhere, and scripts, of which it has none.
    assert "ZgotmplZ" not in page and "<script" not in page


def _evaluated(monitored: Monitored) -> list[dict[str, Any]]:
    (group,) = monitored.get("rules")["groups"]
    return group["rules"] if all(rule["health"] == "ok" for rule in group["rules"]) else []


def test_an_alert_fires(monitored: Monitored) -> None:
    ran = subprocess.run(
        [str(ROOT / ".venv/bin/sipsieve"), "off", "--rpc", str(monitored.server.folder / "sipsieve_rpc.fifo")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr

    def states() -> bool:
        (group,) = monitored.get("rules")["groups"]
        return {r["name"]: r["state"] for r in group["rules"]}["SipsieveInspectionOff"] in ("pending", "firing")

    wait_for(states, "the alert on inspection being off", 30)
    wait_for(lambda: '<b class="bad">off</b>' in monitored.console(), "the console says so", 30)


def test_the_metrics_port_takes_no_sip(monitored: Monitored) -> None:
    """Nor does the include make Kamailio take SIP over TCP without a Content-Length (RFC 3261 20.14)."""
    import socket

    with socket.create_connection(("127.0.0.1", monitored.metrics), 5) as sock:
        sock.settimeout(1)
        sock.send(request(transport="TCP", call_id="wrong-port"))
        with pytest.raises(TimeoutError):
            sock.recv(1000)
    assert exchange(monitored.server, request(length=None, transport="TCP"), transport="tcp", seconds=1) is None
    assert monitored.server.alive()
