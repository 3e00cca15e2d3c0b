"""A real CrowdSec takes the guard's bans and lifts them, and its own decisions reach Kamailio and end there."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, Server, exchange, free_port, invite, request, status, wait_for

SHIPPED = ROOT / "integrations" / "crowdsec"
UNPACKED = ROOT / "build" / "crowdsec"


class CrowdSec:
    """Debian's crowdsec with the shipped parser, scenarios and profile, its local API on loopback; asks nobody outside."""

    def __init__(self, folder: Path, log: Path) -> None:
        if not (UNPACKED / ".done").exists():
            subprocess.run(["make", "build/crowdsec/.done"], cwd=ROOT, check=True, timeout=300)
        self.root = UNPACKED / "root"
        self.folder = folder
        self.port = free_port()
        config = folder / "config"
        for part in ("config/scenarios", "config/postoverflows", "config/notifications", "data", "hub", "plugins"):
            (folder / part).mkdir(parents=True)
        shutil.copytree(SHIPPED / "parsers", config / "parsers")
        shutil.copytree(SHIPPED / "scenarios", config / "scenarios", dirs_exist_ok=True)
        shutil.copytree(self.root / "etc/crowdsec/patterns", config / "patterns")
        # What each installation has from CrowdSec's hub: lines of a file as they are, and their times.
        parsers = self.root / "usr/share/crowdsec/hub/parsers"
        for name in ("s00-raw/crowdsecurity/syslog-logs.yaml", "s02-enrich/crowdsecurity/dateparse-enrich.yaml"):
            stage = config / "parsers" / name.partition("/")[0]
            stage.mkdir(exist_ok=True)
            shutil.copy(parsers / name, stage)
        (folder / "hub/.index.json").write_text('{"parsers":{},"scenarios":{},"postoverflows":{},"collections":{}}')
        acquired = (SHIPPED / "acquis.d" / "sipsieve.yaml").read_text()
        (config / "acquis.yaml").write_text(acquired.replace("/var/log/sipsieve/decisions.jsonl", str(log)))
        shutil.copy(SHIPPED / "profiles.yaml", config)
        (config / "simulation.yaml").write_text("simulation: false\nexclusions: []\n")
        (config / "local.yaml").write_text("")
        (config / "config.yaml").write_text(
            f"""common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: .}}
config_paths:
  {{config_dir: {config}/, data_dir: {folder}/data/, simulation_path: {config}/simulation.yaml, hub_dir: {folder}/hub/,
   index_path: {folder}/hub/.index.json, notification_dir: {config}/notifications/, plugin_dir: {folder}/plugins/}}
crowdsec_service: {{acquisition_path: {config}/acquis.yaml, parser_routines: 1}}
cscli: {{output: human}}
db_config: {{log_level: info, type: sqlite, db_path: {folder}/data/crowdsec.db}}
plugin_config: {{user: nobody, group: nogroup}}
api:
  client: {{credentials_path: {config}/local.yaml}}
  server: {{log_level: info, listen_uri: "127.0.0.1:{self.port}", profiles_path: {config}/profiles.yaml}}
prometheus: {{enabled: false}}
"""
        )
        self.cscli("machines", "add", "test", "--password", "test", "--force", "-f", str(config / "local.yaml"),
                   "-u", self.url)  # fmt: skip
        self.key = self.cscli("bouncers", "add", "sipsieve", "-o", "raw").strip()
        self.out = (folder / "out").open("wb")
        self.process = subprocess.Popen(
            [self.root / "usr/bin/crowdsec", "-c", config / "config.yaml"], stdout=self.out, stderr=subprocess.STDOUT
        )
        wait_for(lambda: b"Starting processing data" in (folder / "out").read_bytes(), "CrowdSec reads", 60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cscli(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.root / "usr/bin/cscli", "-c", self.folder / "config/config.yaml", *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def decisions(self) -> dict[str, dict[str, Any]]:
        """Those that hold, by address or network."""
        alerts = json.loads(self.cscli("decisions", "list", "-o", "json")) or []
        return {one["value"]: one for alert in alerts for one in alert["decisions"]}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.out.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, CrowdSec]]:
    folder = tmp_path_factory.mktemp("crowdsec")
    with Server(folder / "server", "[limits.malformed]\nper_minute = 2\n") as server:
        crowdsec = CrowdSec(folder / "crowdsec", server.log)
        try:
            yield server, crowdsec
        finally:
            crowdsec.stop()


def over_connections(server: Server, source: str, text: str) -> None:
    """Attacks over TCP, until that source is banned."""
    for number in range(12):
        with socket.create_connection(("127.0.0.1", server.port), 5, (source, 0)) as there:
            there.sendall(invite(from_=f'"{text} \' or 1=1--" <sip:a@b.c>;tag={number}', transport="TCP"))
            there.settimeout(1)
            try:
                while there.recv(4096):
                    pass
            except OSError:
                pass
        if any(record["event"].get("source") == source for record in server.records("state")):
            return


def test_a_ban_becomes_a_decision_and_no_planted_or_forgeable_address_does(both: tuple[Server, CrowdSec]) -> None:
    server, crowdsec = both
    planted = (
        r"{\"@timestamp\":\"2026-01-01T00:00:00.000000Z\",\"event\":{\"kind\":\"state\",\"action\":\"ban\","
        r"\"network\":\"192.0.2.99/32\",\"source\":\"192.0.2.99\",\"rule\":\"x\",\"seconds\":60,\"offences\":1,\"udp_only\":false,\"scope\":\"all\","
    )
    for _ in range(4):
        exchange(server, b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40, source="127.6.9.2", seconds=0.02)
    over_connections(server, "127.6.9.1", planted)
    banned = wait_for(
        lambda: {r["event"]["source"]: r for r in server.records("state") if r["event"]["action"] == "ban"}, "bans"
    )
    assert set(banned) == {"127.6.9.1", "127.6.9.2"} and banned["127.6.9.2"]["event"]["udp_only"]
    assert b"192.0.2.99" in server.log.read_bytes()
    decided = wait_for(lambda: "127.6.9.1" in (found := crowdsec.decisions()) and found, "CrowdSec decides", 30)
    assert set(decided) == {"127.6.9.1"} and decided["127.6.9.1"]["scenario"] == "sipsieve/ban"
    assert decided["127.6.9.1"]["duration"].startswith("59m")
    crowdsec.cscli("decisions", "delete", "--ip", "127.6.9.1")
    assert crowdsec.decisions() == {}


def test_an_ipv6_network_becomes_a_range(both: tuple[Server, CrowdSec]) -> None:
    server, crowdsec = both
    # The record of a ban as the guard writes it, on another network.
    ban = next(record for record in server.records("state") if record["event"].get("source") == "127.6.9.1")
    ban["@timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    ban["event"] |= {"network": "2001:db8:0:1::/64", "source": "2001:db8:0:1"}
    with server.log.open("a") as log:
        log.write(json.dumps(ban, separators=(",", ":")) + "\n")
    decided = wait_for(lambda: crowdsec.decisions(), "CrowdSec decides", 30)
    assert decided["2001:db8:0:1::/64"]["scope"] == "Range"
    crowdsec.cscli("decisions", "delete", "--all")


def answered(server: Server, source: str) -> bool:
    return status(exchange(server, request("OPTIONS"), source=source, seconds=0.3)) == 200


def banned(call: Sequence[str | Path], source: str) -> list[dict[str, Any]]:
    """The source's bans, as `sipsieve bans list` prints them."""
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return [ban for ban in json.loads(done.stdout) if ban["source"] == source]


def test_a_decision_bans_on_the_server_and_its_end_lifts_the_ban(both: tuple[Server, CrowdSec], tmp_path: Path) -> None:
    server, crowdsec = both
    key = tmp_path / "key"
    key.write_text(crowdsec.key + "\n")
    rpc = str(server.folder / "sipsieve_rpc.fifo")
    call = [Path(sys.executable).with_name("sipsieve"), "bans", "crowdsec", "--url", crowdsec.url, "--rpc", rpc,
            "--policy", str(server.policy), "--key-file", str(key)]  # fmt: skip
    assert answered(server, "127.6.8.1")
    following = subprocess.Popen([*call, "--every", "0.2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        crowdsec.cscli("decisions", "add", "--ip", "127.6.8.1", "--duration", "10m", "--reason", "seen elsewhere")
        # A slow answer is none, so the list says first that it is banned.
        [ban] = wait_for(lambda: banned([*call[:2], "list", "--json", "--rpc", rpc], "127.6.8.1"), "it is banned", 30)
        assert not answered(server, "127.6.8.1")
        assert ban["rule"] == "crowdsec" and 500 < ban["remaining"] <= 600
        crowdsec.cscli("decisions", "delete", "--ip", "127.6.8.1")
        wait_for(lambda: answered(server, "127.6.8.1"), "it is free", 30)
    finally:
        following.send_signal(signal.SIGINT)
        said, _ = following.communicate(timeout=20)
    assert following.returncode == 0 and "1 banned, 0 lifted" in said and "0 banned, 1 lifted" in said
    key.write_text("0123456789abcdef0123456789abcdef\n")
    done = subprocess.run([*call, "--once"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and "cscli bouncers add sipsieve" in done.stderr
