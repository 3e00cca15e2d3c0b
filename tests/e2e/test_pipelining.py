"""Two messages in one TCP segment, through a real Kamailio: each is looked at by itself, and no lie about a body's length hides one."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from harness import Server, peer, request, status

SERIAL = iter(range(1000))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    policy = "[limits]\nenabled = false\n[bans]\nenabled = false\n[detection]\ntext_bodies = true\n"
    with Server(tmp_path_factory.mktemp("pipelined"), policy, workers=2) as running:
        yield running


def hostile(call_id: str) -> bytes:
    return request("OPTIONS", call_id=call_id, from_='"\' or 1=1--" <sip:mallory@example.com>;tag=1', transport="TCP")


def answers(server: Server, *segments: bytes) -> dict[str, int]:
    """Call-IDs and the last status that each was answered with, until the server has closed the connection.

    Each text of `segments` is sent at once, and ends up in one segment: on loopback one may have 64 KB.
    """
    with peer("127.0.0.1", server.port, transport="tcp") as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for segment in segments:
            connection.sendall(segment)
        # What was sent is handled before the end is: nothing needs to be waited for.
        connection.shutdown(socket.SHUT_WR)
        text = b""
        try:
            while piece := connection.recv(65535):
                text += piece
        except ConnectionResetError:
            pass
    found = {}
    for answer in re.split(rb"(?=SIP/2\.0 \d{3} )", text)[1:]:
        named = re.search(rb"\r\nCall-ID: ([^\r]+)", answer)
        assert named, answer
        found[named[1].decode()] = status(answer)
    return found


@pytest.mark.parametrize("order", ["clean first", "hostile first", "between", "cut in its head"])
def test_each_message_of_a_segment_is_looked_at(server: Server, order: str) -> None:
    n = next(SERIAL)
    clean, other, bad = f"clean-{n}", f"other-{n}", f"bad-{n}"
    before, after = (request("OPTIONS", call_id=identity, transport="TCP") for identity in (clean, other))
    evil = hostile(bad)
    if order == "clean first":
        found = answers(server, before + evil)
    elif order == "hostile first":
        found = answers(server, evil + before)
    elif order == "between":
        found = answers(server, before + evil + after)
        assert found.pop(other) == 200
    else:
        found = answers(server, before + evil[:40], evil[40:])
    assert found == {clean: 200, bad: 403}
    record = server.record_of(bad)
    assert record["event"]["action"] == "reject"
    assert record["network"]["transport"] == "tcp"
    server.assert_healthy()


#: What a first message says of its body's length, where a hostile message follows at once; and whether that message is then a
#: message of its own, the first one's body, or never read, since the first has no sure end.
LIES = {
    "nothing": ("Content-Length: 0", "message"),
    "compact": ("l: 0", "message"),
    "zeros": ("Content-Length: 0000000000", "message"),
    "folded": ("Content-Length:\r\n 0", "nothing"),
    "more": ("Content-Length: {more}", "body"),
    "beyond": ("Content-Length: 99999999", "nothing"),
    "negative": ("Content-Length: -1", "nothing"),
    "overflowing": ("Content-Length: 4294967296", "nothing"),
    "hexadecimal": ("Content-Length: 0x10", "nothing"),
    "conflicting": ("Content-Length: 0\r\nContent-Length: {more}", "nothing"),
    "conflicting compact": ("l: {more}\r\nContent-Length: 0", "nothing"),
    "missing": ("X-Length: 0", "nothing"),
    # The reader of Kamailio's TCP takes a line for a header field, whatever begins it.
    "in another's fold": ("Subject: x\r\n Content-Length: {more}\r\nContent-Length: 0", "body"),
}


@pytest.mark.parametrize("lie", LIES)
def test_no_lie_about_a_length_hides_a_message(server: Server, lie: str) -> None:
    n = next(SERIAL)
    carrier, bad = f"carrier-{n}", f"bad-{n}"
    evil = hostile(bad)
    line, expected = LIES[lie]
    raw = request("MESSAGE", call_id=carrier, headers=("Content-Type: text/plain",), transport="TCP")
    assert b"Content-Length: 0" in raw
    raw = raw.replace(b"Content-Length: 0", line.format(more=len(evil)).encode())
    found = answers(server, raw + evil)
    # Never is the hostile message accepted, whatever became of the first.
    assert found.get(bad, 403) == 403
    if expected == "message":
        assert found.get(bad) == 403, found
        assert server.record_of(bad)["event"]["action"] == "reject"
    elif expected == "body":
        # The text of the body is the message, and is looked at as such.
        assert found == {carrier: 403}
        assert server.record_of(carrier)["event"]["action"] == "reject"
    else:
        assert bad not in found
        assert found.get(carrier, 400) != 200
    server.assert_healthy()


def test_what_a_short_length_leaves_over_is_a_message_of_its_own(server: Server) -> None:
    """The first message says that its body has five bytes; the sixth begins the second."""
    n = next(SERIAL)
    carrier, bad = f"carrier-{n}", f"bad-{n}"
    raw = request("MESSAGE", call_id=carrier, headers=("Content-Type: text/plain",), body=b"hello", transport="TCP")
    found = answers(server, raw + hostile(bad))
    assert found[bad] == 403
    assert found[carrier] != 403
    assert server.record_of(bad)["event"]["action"] == "reject"
