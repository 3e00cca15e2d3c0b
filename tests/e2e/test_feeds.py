"""Lists from outside, over real HTTP into a real Kamailio: fetched beside the messages, kept, replaced, and never in a call's way."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness import Server, exchange, request, sipsieve, status, wait_for

POLICY = """
[limits]
enabled = false
[[network]]
cidr = "127.0.7.9"
trusted = true
[feeds]
folder = "{folder}"
max_bytes = 40000000
timeout_seconds = 8
[[feed]]
name = "drops"
source = "http://127.0.0.1:{port}/drops"
action = "drop"
private = true
[[feed]]
name = "rejects"
source = "http://127.0.0.1:{port}/rejects"
format = "json"
action = "reject"
private = true
[[feed]]
name = "sealed"
source = "https://127.0.0.1:{sealed}/sealed"
ca_file = "{authority}"
action = "reject"
private = true
[[feed]]
name = "notes"
source = "{folder}.csv"
format = "csv"
column = "net"
private = true
"""


class Web:
    """An HTTP server with a page for each path: status, body, or what it does instead."""

    def __init__(self, sealed: ssl.SSLContext | None = None) -> None:
        pages = self.pages = dict[str, Any]()
        self.closing = threading.Event()
        closing = self.closing

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path, (404, b""))
                if page == "slow":
                    closing.wait(60)
                    return
                if page == "torn":
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b"198.51.100.1\n")
                    return
                code, body, *more = page
                self.send_response(code)
                for name, value in more:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        if sealed is not None:
            # The handshake is done in the thread of its connection.
            self.http.socket = sealed.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    running = Web()
    running.pages |= {"/drops": (200, b"# ours\n127.0.7.1 # one\n127.0.7.9\n"), "/rejects": (200, b'["127.0.7.2/32"]')}
    yield running
    running.closing.set()
    running.http.shutdown()
    running.http.server_close()


class Authority:
    """A certificate authority of its own, and servers' certificates by it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.certificate = folder / f"{name}.pem"
        # Python 3.13 holds an authority to RFC 5280 4.2.1.3, which asks for this.
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        named = ("-days", "2", "-subj", f"/CN={name}", *usage)
        self._openssl("req", "-x509", *self._new("ca"), *named, "-out", self.certificate)

    def _new(self, name: str) -> tuple[object, ...]:
        key = self._folder / f"{self._name}-{name}.key"
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key

    def _openssl(self, *words: object, ago: int = 0) -> None:
        """`ago`: days by which its clock is late, since it makes nothing that is over already."""
        environment = {**os.environ, "TZ": "UTC"}
        if ago:
            late = str(next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")))
            environment |= {"LD_PRELOAD": late, "FAKETIME": f"-{ago}d"}
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60, env=environment)

    def issued(self, name: str, address: str = "127.0.0.1", days: int = 1) -> tuple[Path, Path]:
        """A certificate for an address, and its key; with `days` below 0 it is over."""
        made, asked = self._folder / f"{self._name}-{name}.pem", self._folder / f"{self._name}-{name}.csr"
        named = ("-subj", "/CN=lists", "-addext", f"subjectAltName=IP:{address}")
        self._openssl("req", *self._new(name), *named, "-out", asked)
        signed_by = ("-CA", self.certificate, "-CAkey", self._folder / f"{self._name}-ca.key")
        made_of = ("-in", asked, *signed_by, "-days", 1, "-copy_extensions", "copy")
        self._openssl("x509", "-req", *made_of, "-out", made, ago=max(0, -days) * 2)
        return made, self._folder / f"{self._name}-{name}.key"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def sealed(authority: Authority) -> Iterator[tuple[Web, ssl.SSLContext]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issued("good"))
    running = Web(context)
    running.pages["/sealed"] = (200, b"127.0.7.6\n")
    yield running, context
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, web: Web, sealed: tuple[Web, ssl.SSLContext], authority: Authority
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("feeds")
    Path(f"{folder / 'kept'}.csv").write_text("id,net\n1,127.0.7.3\n")
    text = POLICY.format(folder=folder / "kept", port=web.port, sealed=sealed[0].port, authority=authority.certificate)
    with Server(folder, text, workers=2) as running:
        wait_for(lambda: all(row["age"] is not None for row in feeds(running)), "the lists")
        yield running


def feeds(server: Server) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(sipsieve(server, "feeds", "--json").stdout)["feeds"]
    return rows


def row(server: Server, name: str) -> dict[str, Any]:
    return next(one for one in feeds(server) if one["name"] == name)


def answered(server: Server, source: str) -> int:
    """The final answer to an OPTIONS, 0 for none."""
    answer = exchange(server, request(), source=source, seconds=2.0)
    return 0 if answer is None else status(answer)


def refreshed(server: Server, name: str) -> dict[str, Any]:
    """The list after it was fetched anew, or was not."""
    assert sipsieve(server, "feeds", "--refresh", name).returncode in (0, 1)
    wait_for(lambda: row(server, name)["next"] > 0 and not row(server, name)["fetching"], "the fetch", 40)
    return row(server, name)


def test_each_action_is_done_with_the_list_and_the_entry_in_the_record(server: Server) -> None:
    assert [answered(server, f"127.0.7.{last}") for last in (1, 2, 3, 4)] == [0, 403, 200, 200]
    for last, name, action in ((1, "drops", "drop"), (2, "rejects", "reject"), (3, "notes", "allow")):
        record = server.record_from(f"127.0.7.{last}")
        assert record["event"]["action"] == action
        assert f"the list {name}: 127.0.7.{last}" in json.dumps(record)


def test_neither_a_trusted_network_nor_the_server_itself_is_shut_out(server: Server, web: Web) -> None:
    web.pages["/drops"] = (200, b"127.0.7.1\n127.0.7.9\n127.0.0.1\n")
    assert refreshed(server, "drops")["entries"] == 3
    assert answered(server, "127.0.7.9") == 200
    assert answered(server, "127.0.0.1") == 200
    assert answered(server, "127.0.7.1") == 0


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ((500, b""), "the server answered 500"),
        ((200, b"<html>\n<b>Sign in\n</html>\n"), "no addresses"),
        ((200, b""), "no entry that can be used"),
        ((200, b"".join(b"%d.0.0.0/8\n" % first for first in range(1, 127))), "of all IPv4"),
        ((200, b"1.2.3.4\n" * 6_000_000), "max_bytes"),
        ((302, b"", ("Location", "file:///etc/passwd")), "the server answered 302"),
        ("torn", "it ended after 13 of 1000 bytes"),
        ("slow", "timed out"),
    ],
)
def test_a_broken_list_changes_nothing_and_is_told(server: Server, web: Web, page: Any, said: str) -> None:
    web.pages["/drops"] = (200, b"127.0.7.1\n")
    good = refreshed(server, "drops")
    assert not good["error"]
    web.pages["/drops"] = page
    bad = refreshed(server, "drops")
    assert said in bad["error"] and bad["errors"] == good["errors"] + 1
    assert bad["entries"] == 1 and answered(server, "127.0.7.1") == 0 and answered(server, "127.0.7.4") == 200
    notices = [record for record in server.records("state") if said in json.dumps(record)]
    assert len(notices) == 1
    assert sipsieve(server, "feeds").returncode == 1


def test_a_list_over_tls_is_believed_by_its_authority_alone(
    server: Server, sealed: tuple[Web, ssl.SSLContext], authority: Authority, tmp_path: Path
) -> None:
    running, context = sealed
    good = refreshed(server, "sealed")
    assert (good["error"], good["entries"]) == ("", 1)
    assert answered(server, "127.0.7.6") == 403
    # What it would bring in force now is brought by none of these.
    running.pages["/sealed"] = (200, b"127.0.7.4\n127.0.7.5\n")
    theirs = Authority(tmp_path, "theirs")
    for made, said in (
        (theirs.issued("good"), "unable to get local issuer certificate"),
        (authority.issued("elsewhere", "127.0.0.2"), "IP address mismatch"),
        (authority.issued("over", days=-1), "certificate has expired"),
    ):
        context.load_cert_chain(*made)
        bad = refreshed(server, "sealed")
        assert "the certificate of its server is not believed" in bad["error"] and said in bad["error"], bad
        assert bad["entries"] == 1 and answered(server, "127.0.7.6") == 403 and answered(server, "127.0.7.4") == 200
    context.load_cert_chain(*authority.issued("renewed"))
    mended = refreshed(server, "sealed")
    assert (mended["error"], mended["entries"]) == ("", 2)
    running.pages["/sealed"] = (200, b"127.0.7.6\n")
    assert refreshed(server, "sealed")["entries"] == 1


def test_a_million_prefixes_replace_each_other_while_messages_are_decided_on(server: Server, web: Web) -> None:
    many = b"".join(b"%d.%d.%d.0/24\n" % (20 + n // 65536, n // 256 % 256, n % 256) for n in range(999_990))
    # A crowded machine takes longer for a million than for what else is fetched here.
    assert sipsieve(server, "set", "feeds.timeout_seconds", "40").returncode == 0
    web.pages["/drops"] = (200, many + b"127.0.7.1\n")
    first = refreshed(server, "drops")
    assert first["entries"] == 999_991, first
    ended = threading.Event()
    answers: list[int] = []

    def ask() -> None:
        while not ended.is_set():
            answers.append(answered(server, "127.0.7.4"))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for last in (5, 1):
            web.pages["/drops"] = (200, many + b"127.0.7.%d\n" % last)
            assert refreshed(server, "drops")["entries"] == 999_991
            assert answered(server, f"127.0.7.{last}") == 0
    finally:
        ended.set()
        asking.join()
    assert answers and set(answers) == {200}
    assert sipsieve(server, "set", "feeds.timeout_seconds", "--clear").returncode == 0
    server.assert_healthy()


def test_the_kept_copy_is_in_force_after_a_restart_without_the_other_side(server: Server, web: Web) -> None:
    web.pages["/drops"] = (200, b"127.0.7.1\n")
    assert refreshed(server, "drops")["entries"] == 1
    web.pages["/drops"] = (503, b"")
    web.pages["/rejects"] = (200, b'["127.0.7.2"]')
    server.stop()
    kept = server.folder / "kept" / "rejects.list"
    kept.write_bytes(kept.read_bytes().replace(b"127.0.7.2", b"127.0.7.8"))
    server.start()
    wait_for(lambda: row(server, "drops")["error"], "the failed fetch")
    assert row(server, "drops")["entries"] == 1 and answered(server, "127.0.7.1") == 0
    assert any("checksum" in json.dumps(record) for record in server.records("state"))
    assert answered(server, "127.0.7.8") == 200
    told = sipsieve(server, "explain", "127.0.7.1", "--policy", str(server.policy))
    assert "by drops: 127.0.7.1 (drop)" in told.stdout, told
