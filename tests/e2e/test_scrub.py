"""A scrubbed call works: what the backend gets is clean and valid, and the dialog goes through to its end."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import SDP, Server, invite, peer, request

#: Odd enough to be taken out of a name, not enough to refuse the call.
ODD = "x' + 'y"


class Backend:
    """A SIP server of one socket, driven by the test."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10)
        self.port = self.socket.getsockname()[1]
        self.proxy: tuple[str, int] = ("", 0)

    def take(self, method: str) -> bytes:
        """The next request of that method."""
        while True:
            data, self.proxy = self.socket.recvfrom(65535)
            if data.startswith(method.encode()):
                return data

    def answer(self, sent: bytes, line: str = "200 OK", more: bytes = b"", body: bytes = b"") -> None:
        """Answers with the request's Via, From, To, Call-ID, CSeq and Record-Route."""
        kept = [
            row for row in sent.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            if re.match(rb"(?:via|from|to|call-id|cseq|record-route):", row, re.I)
        ]  # fmt: skip
        kept = [row + b";tag=callee" if row[:3] == b"To:" and b"tag=" not in row else row for row in kept]
        head = b"SIP/2.0 " + line.encode() + b"\r\n" + b"\r\n".join(kept) + b"\r\n" + more
        contact = b"Contact: <sip:bob@127.0.0.1:%d>\r\n" % self.port
        self.socket.sendto(head + contact + b"Content-Length: %d\r\n\r\n" % len(body) + body, self.proxy)


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    one = Backend()
    yield one
    one.socket.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("scrub")
    policy = '[limits]\nenabled = false\n[content_length_zero]\ninvite = "allow"\n'
    with Server(folder, policy, backend=f"sip:127.0.0.1:{backend.port}", workers=2) as running:
        yield running


def header(message: bytes, name: str) -> bytes:
    match = re.search(rb"^" + name.encode() + rb":[ \t]*([^\r\n]*)", message, re.I | re.M)
    return match[1] if match else b""


def body(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[2]


def final(sock: socket.socket) -> bytes:
    """The first final answer."""
    while True:
        data = sock.recv(65535)
        if not data.startswith(b"SIP/2.0 1"):
            return data


def test_a_scrubbed_call_is_set_up_and_ended(server: Server, backend: Backend) -> None:
    with peer("127.0.0.1", server.port, source="127.0.2.1") as caller:
        own = caller.getsockname()
        sent = invite(
            from_=f'"{ODD}" <sip:alice@example.com>;tag=caller', call_id="scrubbed", headers=(f"User-Agent: {ODD}",),
            via=f"Via: SIP/2.0/UDP {own[0]}:{own[1]};branch=z9hG4bKscrub1;rport",
        )  # fmt: skip
        caller.send(sent)
        got = backend.take("INVITE")
        assert ODD.encode() not in got
        assert header(got, "From") == b'"removed" <sip:alice@example.com>;tag=caller'
        assert header(got, "User-Agent") == b"removed"
        assert body(got) == SDP
        assert header(got, "Content-Length") == b"%d" % len(SDP)

        backend.answer(got, more=b"Server: <script>alert(1)</script>\r\nContent-Type: application/sdp\r\n", body=SDP)
        answer = final(caller)
        assert answer.startswith(b"SIP/2.0 200")
        assert header(answer, "Server") == b"removed"
        assert body(answer) == SDP

        route = header(answer, "Record-Route").decode()
        inside = {
            "from_": '"A" <sip:alice@example.com>;tag=caller',
            "to": "<sip:bob@example.com>;tag=callee",
            "call_id": "scrubbed",
            "uri": f"sip:bob@127.0.0.1:{backend.port}",
            "headers": (f"Route: {route}",) if route else (),
        }
        caller.send(request("ACK", cseq="1 ACK", **inside))
        assert header(backend.take("ACK"), "Call-ID") == b"scrubbed"
        caller.send(request("BYE", cseq="2 BYE", **{**inside, "from_": f'"{ODD}" <sip:alice@example.com>;tag=caller'}))
        bye = backend.take("BYE")
        assert ODD.encode() not in bye
        backend.answer(bye)
        assert final(caller).startswith(b"SIP/2.0 200")
    record = server.record_of("scrubbed")
    assert record["event"]["action"] == "scrub"
    assert record["sipsieve"]["field"] in ("from.display_name", "user-agent")


@pytest.mark.parametrize(
    ("name", "more", "payload"),
    [
        ("latin-1", (b"Organization: Caf\xe9 \xff",), SDP),
        ("nul in a body", (), b"\x00\xff\xfe" + SDP),
        ("20 KB of body", (), SDP + b"a=x:" + b"0123456789abcdef" * 1280 + b"\r\n"),
        ("20 KB of body that is not UTF-8", (), SDP + b"a=x:" + b"\xff0123456789abcde" * 1280 + b"\r\n"),
        ("20 KB of headers", tuple(b"X-Pad-%d: " % n + b"0123456789abcdef" * 128 for n in range(10)), SDP),
    ],
)
def test_bytes_of_any_kind_and_number_stay_as_they_were(
    server: Server, backend: Backend, name: str, more: tuple[bytes, ...], payload: bytes
) -> None:
    call_id = f"bytes-{len(name)}-{len(payload)}"
    with peer("127.0.0.1", server.port, source="127.0.2.2") as caller:
        own = caller.getsockname()
        sent = request(
            "INVITE", from_=f'"{ODD}" <sip:alice@example.com>;tag=caller', call_id=call_id, body=payload,
            via=f"Via: SIP/2.0/UDP {own[0]}:{own[1]};branch=z9hG4bK{call_id};rport",
            headers=("Contact: <sip:alice@127.0.0.1>", "Content-Type: application/x-any", *(h.decode("utf-8", "surrogateescape") for h in more)),
        )  # fmt: skip
        caller.send(sent)
        caller.settimeout(10)
        backend.socket.settimeout(5)
        try:
            got = backend.take("INVITE")
        except TimeoutError:
            got = b""
        record = server.record_of(call_id)
        if not got:
            # What can't be replaced is refused, never let through as it was.
            assert record["event"]["action"] == "reject", record
            pytest.fail(f"{name}: refused instead of scrubbed: {record['event']['reason']}")
        assert ODD.encode() not in got
        assert header(got, "From") == b'"removed" <sip:alice@example.com>;tag=caller'
        assert body(got) == payload
        for line in more:
            assert line in got
        assert record["event"]["action"] == "scrub"
        backend.answer(got, "486 Busy Here")
        assert final(caller).startswith(b"SIP/2.0 486")
        caller.send(request("ACK", cseq="1 ACK", call_id=call_id, to="<sip:bob@example.com>;tag=callee",
                            via=f"Via: SIP/2.0/UDP {own[0]}:{own[1]};branch=z9hG4bK{call_id};rport"))  # fmt: skip
