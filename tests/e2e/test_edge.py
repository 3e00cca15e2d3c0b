"""The reference kamailio.cfg as an edge: calls go through it whole, over UDP and TCP, from behind NAT."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import Backend, answer
from harness import SDP, Server, final, free_port, invite, peer, request, status, wait_for

SIPP = Path(__file__).with_name("sipp")

RINGING: dict[bytes, bytes] = {}


def call_id_of(message: bytes) -> bytes:
    """The Call-ID line of a message."""
    return next(line for line in message.split(b"\r\n") if line.lower().startswith(b"call-id:"))


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    def script(message: bytes) -> list[bytes]:
        contact = (f"Contact: <sip:bob@127.0.0.1:{running.port}>", "Content-Type: application/sdp")
        if message.startswith((b"ACK ", b"SIP/2.0")):
            return []
        if message.startswith(b"INVITE sip:ringing@"):
            RINGING[call_id_of(message)] = message
            return [answer(message, 180, "Ringing")]
        if message.startswith(b"CANCEL "):
            return [answer(message), answer(RINGING[call_id_of(message)], 487, "Request Terminated")]
        if message.startswith(b"INVITE sip:nobody@"):
            return [answer(message, 404, "Not Found")]
        if message.startswith(b"INVITE "):
            # No 180 before it: two workers may relay the two in either order, which sipp does not take.
            return [answer(message, headers=contact, body=SDP)]
        return [answer(message)]

    running = Backend(script)
    with running:
        yield running


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("edge"), backend=backend.uri) as running:
        yield running


def sipp(edge: Server, scenario: str, *arguments: str, transport: str = "u1", calls: int = 5) -> None:
    """Runs calls; the exit code says whether each went as its scenario says."""
    done = subprocess.run(
        [
            "sipp", f"127.0.0.1:{edge.port}", "-sf", str(SIPP / scenario), "-i", "127.0.0.1", "-p", str(free_port()),
            "-t", transport, "-m", str(calls), "-r", "10", "-d", "50", "-nostdin", "-timeout", "20s", "-timeout_error",
            *arguments,
        ],
        capture_output=True, text=True, timeout=40, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"sipp ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}"


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_calls_from_invite_to_bye(edge: Server, backend: Backend, transport: str) -> None:
    before = len(backend.requests("BYE")), len(backend.requests("ACK"))
    sipp(edge, "call.xml", "-s", "bob", transport=transport)
    assert len(backend.requests("BYE")) == before[0] + 5
    wait_for(lambda: len(backend.requests("ACK")) == before[1] + 5, "each 200 is acknowledged")
    assert not [r for r in edge.records() if r["event"]["action"] != "allow"]


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_calls_that_are_cancelled(edge: Server, backend: Backend, transport: str) -> None:
    before = len(backend.requests("CANCEL"))
    sipp(edge, "cancel.xml", "-s", "ringing", transport=transport, calls=3)
    assert len(backend.requests("CANCEL")) >= before + 3


def test_a_cancel_without_a_call_is_told_so(edge: Server) -> None:
    assert status(final(edge, request("CANCEL"), source="127.9.0.6")) == 481


def test_a_failed_call_comes_back_as_it_is(edge: Server) -> None:
    assert status(final(edge, invite(uri="sip:nobody@example.com"), source="127.9.0.1")) == 404


def test_requests_inside_a_call_follow_the_route(edge: Server, backend: Backend) -> None:
    sent = invite(call_id="inside", from_="<sip:a@example.com>;tag=a", uri="sip:bob@example.com")
    reply = final(edge, sent, source="127.9.0.2").decode()
    lines = reply.split("\r\n")
    to = next(line[4:] for line in lines if line.startswith("To: "))
    routes = [line[14:] for line in lines if line.startswith("Record-Route: ")]
    assert routes, "the edge stays in the path"
    contact = next(line for line in lines if line.startswith("Contact: ")).partition("<")[2].partition(">")[0]
    for method, cseq in (("INVITE", 2), ("INFO", 3), ("UPDATE", 4), ("BYE", 5)):
        inside = request(
            method,
            uri=contact,
            call_id="inside",
            from_="<sip:a@example.com>;tag=a",
            to=to,
            cseq=f"{cseq} {method}",
            headers=tuple(f"Route: {route}" for route in routes),
        )
        assert status(final(edge, inside, source="127.9.0.2")) == 200, method
        assert any(f"CSeq: {cseq} {method}".encode() in message for message in backend.received)
    stray = request("BYE", call_id="inside", to="<sip:b@example.com>;tag=stranger")
    assert status(final(edge, stray, source="127.9.0.2")) == 404


def test_answers_go_to_where_the_request_came_from(edge: Server, backend: Backend) -> None:
    """A phone behind NAT names an address in Via and Contact that nobody can reach."""
    with peer("127.0.0.1", edge.port, source="127.9.0.3") as phone:
        port = phone.getsockname()[1]
        sent = invite(via="Via: SIP/2.0/UDP 10.0.0.99:5060;branch=z9hG4bKnat", call_id="nat")
        phone.send(sent.replace(b"<sip:alice@127.0.0.1>", b"<sip:alice@10.0.0.99>"))
        reply = phone.recv(65535)
        while status(reply) < 200:
            reply = phone.recv(65535)
        assert status(reply) == 200
        assert (
            f"received=127.9.0.3;rport={port}".encode() in reply or f"rport={port};received=127.9.0.3".encode() in reply
        )
    relayed = next(message for message in backend.requests("INVITE") if b"\r\nCall-ID: nat\r\n" in message)
    assert f"alias=127.9.0.3~{port}~1".encode() in relayed, "the callee's requests find the way back"


def test_a_message_that_went_round_too_long_is_stopped(edge: Server) -> None:
    looping = request("OPTIONS").replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    assert status(final(edge, looping, source="127.9.0.4")) == 483


def test_what_the_sender_routes_elsewhere_goes_to_the_backend(edge: Server, backend: Backend) -> None:
    """A preloaded Route must not make the edge an open relay."""
    sent = request("OPTIONS", call_id="relay", headers=("Route: <sip:192.0.2.99;lr>",))
    assert status(final(edge, sent, source="127.9.0.5")) == 200
    arrived = next(message for message in backend.received if b"\r\nCall-ID: relay\r\n" in message)
    assert b"192.0.2.99" not in arrived


def test_several_sockets_and_no_backend(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(2)]
    listen = f"udp:127.0.0.1:{ports[0]} tcp:127.0.0.1:{ports[0]} udp:127.0.0.1:{ports[1]}"
    with Server(tmp_path, port=ports[0], listen=listen, workers=2):
        for port in ports:
            with peer("127.0.0.1", port) as sock:
                sock.send(request("OPTIONS"))
                assert status(sock.recv(4096)) == 200
        with peer("127.0.0.1", ports[0], transport="tcp") as sock:
            sock.send(request("OPTIONS", transport="TCP"))
            assert status(sock.recv(4096)) == 200
