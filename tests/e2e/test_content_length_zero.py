"""INVITEs without an offer: refused from strangers, however spelt; never inside a call that the guard saw answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import Backend, answer
from harness import SDP, Server, exchange, invite, peer, request, status, wait_for


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    def script(message: bytes) -> list[bytes]:
        if message.startswith(b"INVITE ") and message.endswith(SDP):
            headers = ("Contact: <sip:bob@127.0.0.1>", "Content-Type: application/sdp")
            return [answer(message, 180, "Ringing"), answer(message, headers=headers, body=SDP)]
        return [] if message.startswith((b"ACK ", b"SIP/2.0")) else [answer(message)]

    with Backend(script) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Server]:
    policy = '[network]\ntrusted = ["127.2.9.0/24"]\n[limits]\nenabled = false\n'
    with Server(tmp_path_factory.mktemp("cl0"), policy, backend=backend.uri) as running:
        yield running


def bare(*lines: str, call_id: str, body: bytes = b"") -> bytes:
    """An INVITE whose Content-Length lines are exactly these."""
    return request("INVITE", call_id=call_id, headers=("Contact: <sip:a@127.0.0.1>", *lines), length=None, body=body)


SPELLINGS = {
    "plain": bare("Content-Length: 0", call_id="plain"),
    "compact": bare("l: 0", call_id="compact"),
    "spaces": bare("Content-Length  :   0  ", call_id="spaces"),
    "zeros": bare("Content-Length: 000", call_id="zeros"),
    "folded": bare("Content-Length:\r\n 0", call_id="folded"),
    "twice": bare("Content-Length: 0", "Content-Length: 0", call_id="twice"),
    "twice-compact": bare("Content-Length: 0", "l: 0", call_id="twice-compact"),
    "case": bare("CONTENT-LENGTH: 0", call_id="case"),
    "bytes-beyond": bare("Content-Length: 0", call_id="bytes-beyond", body=SDP),
    "none": bare(call_id="none"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_invite_without_a_body_is_refused_in_every_spelling(server: Server, backend: Backend, spelling: str) -> None:
    before = len(backend.requests("INVITE"))
    # A repeated Content-Length can't be answered by Kamailio's parser: silence is as good there.
    answered = status(exchange(server, SPELLINGS[spelling], source="127.2.0.1", seconds=0.5))
    assert answered in ((0, 400) if spelling.startswith("twice") else (400,))
    record = server.record_of(spelling)
    assert "content-length-zero" in record["rule"]["id"]
    assert record["event"]["action"] in ("reject", "drop")
    assert len(backend.requests("INVITE")) == before


def test_the_reason_phrase_says_why(server: Server) -> None:
    reply = exchange(server, SPELLINGS["plain"], source="127.2.0.2") or b""
    assert reply.startswith(b"SIP/2.0 400 INVITE With Content-Length 0 Not Accepted\r\n")


@pytest.mark.parametrize("spelling", ["plain", "compact", "folded", "none"])
def test_a_trusted_peer_may_delay_its_offer(server: Server, backend: Backend, spelling: str) -> None:
    sent = SPELLINGS[spelling].replace(spelling.encode(), f"trusted-{spelling}".encode())
    exchange(server, sent, source="127.2.9.1")
    wait_for(lambda: any(f"trusted-{spelling}".encode() in m for m in backend.received), "the backend gets it")
    assert server.record_of(f"trusted-{spelling}")["event"]["action"] == "allow"


def test_other_methods_need_no_body(server: Server) -> None:
    assert status(exchange(server, request("OPTIONS"), source="127.2.0.3")) == 200


def call(server: Server, call_id: str, source: str) -> str:
    """Sets a call up through the guard; returns the callee's To value with its tag."""
    with peer("127.0.0.1", server.port, source=source) as sock:
        sock.send(invite(call_id=call_id, from_="<sip:alice@example.com>;tag=alice"))
        while True:
            reply = sock.recv(65535)
            if status(reply) == 200:
                return next(line[4:] for line in reply.decode().split("\r\n") if line.startswith("To: "))


def test_a_refresh_inside_a_call_that_was_seen_answered_passes(server: Server, backend: Backend) -> None:
    to = call(server, "refreshed", "127.2.1.1")
    again = request(
        "INVITE",
        uri=f"sip:bob@127.0.0.1:{backend.port}",
        call_id="refreshed",
        cseq="2 INVITE",
        from_="<sip:alice@example.com>;tag=alice",
        to=to,
        headers=(f"Route: <sip:127.0.0.1:{server.port};lr>",),
    )
    exchange(server, again, source="127.2.1.1")
    wait_for(lambda: any(b"CSeq: 2 INVITE" in m for m in backend.requests("INVITE")), "the refresh reaches the backend")
    # The callee may refresh as well: tags change places, and so does the sender.
    from_callee = request(
        "INVITE",
        uri="sip:alice@127.2.1.1",
        call_id="refreshed",
        cseq="7 INVITE",
        from_=to,
        to="<sip:alice@example.com>;tag=alice",
        headers=(f"Route: <sip:127.0.0.1:{server.port};lr>",),
    )
    exchange(server, from_callee, source="127.2.1.2", seconds=0.3)
    record = server.wait_record(lambda r: r.get("sip", {}).get("cseq") == {"code": 7})
    assert record["event"]["action"] == "allow"


@pytest.mark.parametrize("forged", ["tag=forged", "tag="])
def test_a_forged_to_tag_does_not_open_the_door(server: Server, backend: Backend, forged: str) -> None:
    call(server, f"honest-{forged}", "127.2.2.1")
    before = len(backend.received)
    sent = request(
        "INVITE",
        call_id=f"honest-{forged}",
        cseq="3 INVITE",
        from_="<sip:alice@example.com>;tag=alice",
        to=f"<sip:bob@example.com>;{forged}",
    )
    assert status(exchange(server, sent, source="127.2.2.2")) == 400
    assert len(backend.received) == before


def test_a_forged_answer_opens_no_door(server: Server) -> None:
    reply = answer(request("INVITE", call_id="never", from_="<sip:a@example.com>;tag=a"), tag="b")
    exchange(server, reply, source="127.2.2.3", seconds=0.2)
    server.record_of("never")
    sent = request(
        "INVITE", call_id="never", cseq="2 INVITE", from_="<sip:a@example.com>;tag=a", to="<sip:b@example.com>;tag=b"
    )
    assert status(exchange(server, sent, source="127.2.2.3")) == 400


def test_only_initial_invites_are_refused_where_the_policy_says_so(tmp_path: Path) -> None:
    with Server(tmp_path, '[content_length_zero]\ninvite = "reject-initial"\n') as server:
        assert status(exchange(server, request("INVITE"))) == 400
        assert status(exchange(server, request("INVITE", to="<sip:b@example.com>;tag=any"))) == 200
        assert status(exchange(server, request("INVITE", to="<sip:b@example.com> ; tag = any"))) == 200
        assert status(exchange(server, request("INVITE", to='"x;tag=1" <sip:b@example.com>'))) == 400


def test_all_pass_where_the_policy_allows_them(tmp_path: Path) -> None:
    with Server(tmp_path, '[content_length_zero]\ninvite = "allow"\n') as server:
        assert status(exchange(server, request("INVITE", call_id="welcome"))) == 200
        assert server.record_of("welcome")["event"]["action"] == "allow"
