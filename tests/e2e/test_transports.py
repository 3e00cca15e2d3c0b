"""Every transport of the compatibility table, through a real Kamailio in enforce mode: calls succeed, attacks are refused."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from harness import ROOT, SDP, Server, exchange, free_port, invite, request, status, wait_for

CONFIG = Path(__file__).with_name("configs") / "webrtc.cfg"
HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'
PAGE = b"GET /favicon.ico HTTP/1.1\r\nHost: sip.example.com\r\nUser-Agent: a browser\r\n\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1,IP:::1", "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return certificate, key


class Edge:
    """A server with a port for UDP and TCP, and one for TLS, on IPv4 and IPv6."""

    def __init__(self, server: Server, tls: int, certificate: Path) -> None:
        self.server = server
        self.tls = tls
        self.trust = ssl.create_default_context(cafile=str(certificate))
        # By TLS 1.3 a server sends tickets behind its handshake: the client library's thread then waits inside a read, whatever
        # time it was given, beside the thread that writes. Connections of `transport == "tls"` have 1.3.
        self.trust_of_browsers = ssl.create_default_context(cafile=str(certificate))
        self.trust_of_browsers.maximum_version = ssl.TLSVersion.TLSv1_2

    def websocket(self, secure: bool = False, source: str = "127.0.0.1") -> ClientConnection:
        """A browser's connection, after its handshake."""
        port = self.tls if secure else self.server.port
        return connect(
            f"{'wss' if secure else 'ws'}://{'[::1]' if ':' in source else '127.0.0.1'}:{port}/",
            subprotocols=[Subprotocol("sip")], ssl=self.trust_of_browsers if secure else None, source_address=(source, 0),
            open_timeout=5, close_timeout=1, compression=None, proxy=None,
        )  # fmt: skip

    @contextmanager
    def connection(
        self, transport: str, source: str = "127.0.0.1"
    ) -> Iterator[tuple[Callable[[bytes], None], Callable[[], bytes]]]:
        """What sends a message and what waits for one, over that transport; a source with a colon is IPv6."""
        if transport in ("ws", "wss"):
            with self.websocket(transport == "wss", source) as browser:
                yield (
                    lambda data: browser.send(data.decode("utf-8", "surrogateescape"), text=True),
                    lambda: encoded(browser.recv(timeout=5)),
                )
            return
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        target = ("::1" if ":" in source else "127.0.0.1", self.tls if transport == "tls" else self.server.port)
        with closing(socket.socket(family, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)) as bare:
            bare.bind((source, 0))
            bare.settimeout(5)
            bare.connect(target)
            if transport != "tls":
                yield bare.sendall, lambda: received(bare)
                return
            with self.trust.wrap_socket(bare, server_hostname=target[0]) as sealed:
                yield sealed.sendall, lambda: received(sealed)

    def final(self, transport: str, data: bytes, source: str = "127.0.0.1") -> bytes:
        """The final answer to one request."""
        with self.connection(transport, source) as (send, receive):
            send(data)
            while status(answer := receive()) < 200:
                pass
            return answer


def test_the_documents_name_the_transports_that_are_tried_here() -> None:
    text = (ROOT / "docs" / "install.md").read_text().partition("## Transports")[2].partition("\n## ")[0]
    named = {tuple(re.findall(r"[\w]+", row)[:3]) for row in text.split("\n") if row.startswith("| `")}
    assert named == {(transport, *families_of(transport)) for transport, _ in TRANSPORTS}


def families_of(transport: str) -> list[str]:
    return [family for name, family in TRANSPORTS if name == transport]


def received(connection: socket.socket) -> bytes:
    """The next piece; fails where the server has closed the connection."""
    piece = connection.recv(65535)
    assert piece, "the server closed the connection"
    return piece


def encoded(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


def started(folder: Path, certificate: tuple[Path, Path], policy: str = "", **environment: str) -> Edge:
    port, tls = free_port(), free_port()
    listen = " ".join([f"udp:{host}:{port} tcp:{host}:{port} tls:{host}:{tls}" for host in ("127.0.0.1", "[::1]")])
    more = {
        "TEST_CERTIFICATE": str(certificate[0]),
        "TEST_KEY": str(certificate[1]),
        **environment,
    }
    server = Server(folder, policy, CONFIG, port=port, listen=listen, workers=2, environment=more)
    return Edge(server.start(), tls, certificate[0])


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[Edge]:
    running = started(tmp_path_factory.mktemp("edge"), certificate, "[log]\nsummary_seconds = 1\n")
    try:
        yield running
    finally:
        running.server.stop()


def register(transport: str, user: str, contact: str, **more: str) -> bytes:
    return request(
        "REGISTER",
        uri="sip:example.com",
        from_=f"<sip:{user}@example.com>;tag=r",
        to=f"<sip:{user}@example.com>",
        headers=(f"Contact: <{contact}>", "Expires: 600"),
        transport=transport.upper(),
        **more,
    )


#: Transport and address family, as docs/install.md lists them.
TRANSPORTS = [(transport, family) for transport in ("udp", "tcp", "tls") for family in ("IPv4", "IPv6")] + [
    ("ws", "IPv4"),
    ("ws", "IPv6"),
    ("wss", "IPv4"),
    ("wss", "IPv6"),
]


@pytest.mark.parametrize(("transport", "family"), TRANSPORTS)
def test_a_phone_registers_is_called_and_an_attack_is_refused(edge: Edge, transport: str, family: str) -> None:
    host = "127.0.0.1" if family == "IPv4" else "::1"
    user = f"{transport}-{family.lower()}"
    web = transport in ("ws", "wss")
    place = "q7k2.invalid" if web else ("127.0.0.1" if family == "IPv4" else "[::1]")
    via = f"Via: SIP/2.0/{transport.upper()} {place};branch=z9hG4bK{user};rport"
    hint = "" if transport == "udp" else f";transport={'ws' if web else transport}"
    with edge.connection(transport, host) as (send, receive):
        contact = f"sip:{user}@{place}{'' if web else ':9'}{hint}"
        send(register(transport, user, contact, via=via))
        answer = receive()
        assert status(answer) == 200 and b"expires=600" in answer, answer
        send(
            invite(
                uri=f"sip:nobody-{user}@example.com",
                transport=transport.upper(),
                via=via.replace("z9hG4bK", "z9hG4bKi"),
            )
        )
        while status(answer := receive()) < 200:
            pass
        assert status(answer) == 404
        send(request("OPTIONS", transport=transport.upper()))
        assert status(receive()) == 200
        send(invite(from_=HOSTILE, transport=transport.upper(), call_id=f"attack-{user}"))
        assert status(receive()) == 403
    record = edge.server.record_of(f"attack-{user}")
    assert (record["network"]["transport"], record["source"]["ip"]) == (transport, host)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_ten_handshakes_of_ten_succeed(edge: Edge, secure: bool) -> None:
    with ExitStack() as opened:
        for browser in [opened.enter_context(edge.websocket(secure)) for _ in range(10)]:
            browser.send(request("OPTIONS", transport="WSS" if secure else "WS").decode(), text=True)
            assert status(encoded(browser.recv(timeout=5))) == 200


def test_a_call_from_a_phone_to_a_browser_and_back_on_hook(edge: Edge) -> None:
    with edge.websocket() as browser, edge.connection("udp", "127.0.3.1") as (send, receive):
        via = "Via: SIP/2.0/WS q7k3.invalid;branch=z9hG4bKbrowser;rport"
        browser.send(register("ws", "browser", "sip:browser@q7k3.invalid;transport=ws", via=via).decode(), text=True)
        assert status(encoded(browser.recv(timeout=5))) == 200
        send(
            invite(
                uri="sip:browser@example.com",
                to="<sip:browser@example.com>",
                from_="<sip:a@example.com>;tag=a",
                call_id="to-browser",
            )
        )
        offered = encoded(browser.recv(timeout=5))
        assert offered.startswith(b"INVITE ") and SDP in offered
        browser.send(answered(offered, "<sip:browser@q7k3.invalid;transport=ws>").decode(), text=True)
        while status(answer := receive()) < 200:
            pass
        assert status(answer) == 200
        route, contact = header(answer, "Record-Route"), header(answer, "Contact").strip("<>")
        inside = {
            "uri": contact,
            "to": header(answer, "To"),
            "from_": "<sip:a@example.com>;tag=a",
            "call_id": "to-browser",
        }
        send(request("ACK", cseq="1 ACK", headers=(f"Route: {route}",), **inside))
        assert encoded(browser.recv(timeout=5)).startswith(b"ACK ")
        send(request("BYE", cseq="2 BYE", headers=(f"Route: {route}",), **inside))
        ended = encoded(browser.recv(timeout=5))
        assert ended.startswith(b"BYE ")
        browser.send(answered(ended, "<sip:browser@q7k3.invalid;transport=ws>").decode(), text=True)
        while status(answer := receive()) != 200 or b"BYE" not in answer:
            pass


def header(message: bytes, name: str) -> str:
    """The value of the first header field of that name."""
    lines = message.decode().split("\r\n")
    return next(line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name.lower()}:"))


def answered(message: bytes, contact: str) -> bytes:
    """A 200 to that request, as a browser sends it."""
    kept = ("via:", "from:", "to:", "call-id:", "cseq:", "record-route:")
    lines = [line for line in message.decode().split("\r\n") if line.lower().startswith(kept)]
    lines = [f"{line};tag=b" if line.lower().startswith("to:") and "tag=" not in line else line for line in lines]
    return "\r\n".join(["SIP/2.0 200 OK", *lines, f"Contact: {contact}", "Content-Length: 0", "", ""]).encode()


def test_a_web_page_can_not_shut_an_office_out(edge: Edge) -> None:
    """A page that asks for the SIP port over and over: the phones behind the same address are answered throughout."""
    office = "127.0.3.2"
    answers = [page(edge.server, office) for _ in range(700)]
    assert all(answer.startswith(b"HTTP/1.1 404 ") for answer in answers[:200])
    assert b"" in answers, "more than the limit is not served"
    for transport in ("udp", "tcp", "tls"):
        assert status(edge.final(transport, request("OPTIONS", transport=transport.upper()), office)) == 200
    limited = edge.server.record_from(office)
    assert (limited["event"]["action"], limited["rule"]["id"]) == ("drop", ["limit-http"])
    counted = wait_for(
        lambda: (n := sum(served(edge.server, office))) == sum(map(bool, answers)) and n, "all that passed are counted"
    )
    assert 200 < counted < 700
    assert not [r for r in edge.server.records("state") if r["event"].get("source") == office]


def test_a_page_s_attacks_over_a_websocket_shut_out_websockets_only(edge: Edge) -> None:
    office = "127.0.3.5"
    with edge.websocket(source=office) as browser, suppress(ConnectionClosed):
        for number in range(12):
            browser.send(invite(from_=HOSTILE, transport="WS", call_id=f"page-{number}").decode(), text=True)
            browser.recv(timeout=2)
    ban = edge.server.wait_record(lambda r: r["event"]["action"] == "ban" and r["event"]["source"] == office, "a ban")
    assert ban["event"]["scope"] == "WebSockets only"
    for transport in ("udp", "tcp", "tls"):
        assert status(edge.final(transport, request("OPTIONS", transport=transport.upper()), office)) == 200
    with pytest.raises((ConnectionClosed, TimeoutError)), edge.websocket(source=office) as browser:
        browser.send(request("OPTIONS", transport="WS").decode(), text=True)
        browser.recv(timeout=2)


def served(server: Server, source: str) -> list[int]:
    """How many HTTP requests of a source passed, by the summaries."""
    counts = [r for r in server.records("metric") if r["source"]["ip"] == source and r["event"]["action"] == "allow"]
    return [r["event"]["count"] for r in counts if r["sip"]["method"] == "HTTP"]


def page(server: Server, source: str) -> bytes:
    """What a browser is answered that asks for a page; b"" without an answer."""
    return exchange(server, PAGE, source=source, transport="tcp", seconds=0.1) or b""


def test_http_in_datagrams_is_no_sip_either(edge: Edge) -> None:
    """Nobody's browser sends that."""
    assert exchange(edge.server, PAGE, source="127.0.3.4", seconds=0.2) is None
    assert edge.server.record_from("127.0.3.4")["event"]["action"] == "drop"


def test_handshakes_and_metrics_go_together(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    metrics = free_port()
    running = started(tmp_path, certificate, TEST_METRICS="1", SIPSIEVE_METRICS_PORT=str(metrics))
    try:
        with running.websocket() as browser:
            browser.send(request("OPTIONS", transport="WS", length=None).decode(), text=True)
            assert status(encoded(browser.recv(timeout=5))) == 200
        with closing(socket.create_connection(("127.0.0.1", metrics), 5)) as asked:
            asked.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert asked.recv(65535).startswith(b"HTTP/1.1 200 ")
    finally:
        running.server.stop()


def test_without_a_websocket_module_http_is_left_to_kamailio(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    running = started(tmp_path, certificate, TEST_NO_WEBSOCKET="1")
    try:
        for _ in range(12):
            assert page(running.server, "127.0.3.3") == b""
        assert status(exchange(running.server, request("OPTIONS"), source="127.0.3.3")) == 200
        assert set(running.server.started) <= set(running.server.children()), "a worker died"
    finally:
        running.server.stop()
