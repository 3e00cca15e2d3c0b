"""Under a flood of hostile messages the guard leaves undone what strangers would only cost, and nothing else."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backend import Backend, answer
from harness import Server, exchange, invite, peer, request, status, wait_for

HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'
TRUSTED = "127.14.0.1"

#: Dear to look at, so that a flood of the test's size takes its share of a second on any machine.
DEAR = tuple(f"X-Note-{number}: ' or 1=1-- {number}; $(reboot) <script>{number}</script>" for number in range(60))

#: As little as hundredths of a second, so that a flood of the test's size is one on any machine. A message counts for two of them
#: at the most, so on the way to four there is one in the first step, however slow the machine.
POLICY = f"""[log]
summary_seconds = 1
[bans]
enabled = false
[limits]
enabled = false
[network]
trusted = ["{TRUSTED}"]
[shedding]
fold_percent = 1
silent_percent = 4
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("shedding"), POLICY, workers=1) as running:
        yield running


def flood(server: Server, messages: int, first: int = 0) -> None:
    """That many hostile messages, each from another address, counted from the first one."""
    for number in range(first, first + messages):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((f"127.15.{number // 250}.{number % 250 + 1}", 0))
            sock.sendto(invite(from_=HOSTILE, headers=DEAR), ("127.0.0.1", server.port))
        # One worker reads them in order: when a trusted one behind them is answered, they were read. It may go no further, so
        # that it is answered without a transaction: a quick machine asks so often that they would fill Kamailio's memory.
        if number % 50 == 49:
            last = request("OPTIONS").replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
            assert status(exchange(server, last, source=TRUSTED)) == 483


def shed(server: Server) -> list[dict[str, Any]]:
    return [record for record in server.records("state") if record["event"]["action"] == "shed"]


def test_strangers_are_counted_only_and_at_last_not_answered_and_it_ends_with_the_flood(server: Server) -> None:
    def accounted() -> int:
        records = [*server.records("event"), *server.records("metric")]
        from_them = [r for r in records if r.get("source", {}).get("ip", "") != TRUSTED]
        return sum(record["event"].get("count", 1) for record in from_them)

    def silent() -> bool:
        return any("not answered" in record["event"]["reason"] for record in shed(server))

    sent = 1000
    flood(server, sent)
    # How much of a second that took is the machine's: a quick one is flooded for longer.
    while not silent() and sent < 20_000:
        flood(server, 500, sent)
        sent += 500
    # A trusted source's attack is refused with an answer and a record, whatever strangers do.
    answer = exchange(server, invite(from_=HOSTILE, call_id="trusted-in-a-flood"), source=TRUSTED)
    assert status(answer) == 403
    assert server.record_of("trusted-in-a-flood")["event"]["action"] == "reject"
    wait_for(silent, "the silent step is said")
    wait_for(lambda: accounted() >= sent, "each message is accounted for")
    assert accounted() == sent
    own = [r for r in server.records("event") if r["source"]["ip"].startswith("127.15.")]
    assert len(own) < sent / 2, "most have no record of their own"
    counted = [r for r in server.records("metric") if r.get("source", {}).get("ip", "") != TRUSTED]
    assert {r["event"]["action"] for r in counted} == {"reject", "drop"}

    wait_for(lambda: shed(server)[-1]["event"]["reason"].startswith("over"), "its end is said")
    answer = exchange(server, invite(from_=HOSTILE, call_id="after-the-flood"), source="127.15.9.9")
    assert status(answer) == 403
    assert server.record_of("after-the-flood")["event"]["action"] == "reject"


def test_clean_calls_of_strangers_pass_all_along(server: Server) -> None:
    for number in range(20):
        flood(server, 20)
        assert status(exchange(server, invite(), source=f"127.16.0.{number + 1}")) == 200


CHALLENGE = 'WWW-Authenticate: Digest realm="example.com", nonce="{}"'


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its last step is reached as soon as any."""

    def script(message: bytes) -> list[bytes]:
        if message.startswith(b"REGISTER ") and b"Authorization:" not in message:
            call_id = re.search(rb"Call-ID: ([^\r]*)", message)
            assert call_id
            return [answer(message, 401, "Unauthorized", headers=(CHALLENGE.format(call_id[1].decode()),))]
        return [] if message.startswith((b"ACK ", b"SIP/2.0")) else [answer(message)]

    policy = POLICY.replace("fold_percent = 1", "fold_percent = 1\nunproven_percent = 1").replace(
        "enabled = false\n[limits]\nenabled = false", "enabled = false\nearned_minutes = 1"
    )
    assert "unproven_percent" in policy and "earned_minutes" in policy and "limits" not in policy
    with (
        Backend(script) as backend,
        Server(tmp_path_factory.mktemp("unproven"), policy, backend=backend.uri, workers=1) as running,
    ):
        yield running


@contextmanager
def flooded(server: Server) -> Iterator[None]:
    """A flood that goes on until the block ends; the step is reached when it begins."""
    over = threading.Event()

    def send() -> None:
        number = 0
        while not over.is_set():
            flood(server, 50, number % 10_000)
            number += 50

    thread = threading.Thread(target=send)
    thread.start()
    try:
        wait_for(lambda: shed(server) and "unproven" in shed(server)[-1]["event"]["reason"], "the last step is said")
        yield
    finally:
        over.set()
        thread.join(60)


def register(source: str, call_id: str, nonce: str = "") -> bytes:
    """A registration, with credentials where it has a nonce for them."""
    credentials = (
        f'Authorization: Digest username="a", realm="example.com", nonce="{nonce}", '
        'uri="sip:example.com", response="0123456789abcdef0123456789abcdef"'
    )
    headers = (f"Contact: <sip:a@{source}>", *((credentials,) if nonce else ()))
    told = {"uri": "sip:example.com", "from_": "<sip:a@example.com>;tag=r", "call_id": call_id}
    return request("REGISTER", cseq=f"{2 if nonce else 1} REGISTER", headers=headers, **told)


def has_served(server: Server, data: bytes, source: str) -> bool:
    answered = exchange(server, data, source=source, seconds=1)
    return answered is not None and status(answered) == 200


def turned_away(server: Server) -> int:
    """Messages counted under the last step's rule."""
    of_rule = [record for record in server.records("metric") if "shed-unproven" in record.get("rule", {}).get("id", ())]
    return sum(record["event"]["count"] for record in of_rule)


def test_at_last_strangers_start_nothing_and_who_is_proven_is_served_all_along(strict: Server) -> None:
    proven, challenged, stranger = "127.17.0.1", "127.17.0.2", "127.17.0.3"
    assert status(exchange(strict, register(proven, "one"), source=proven)) == 401
    assert status(exchange(strict, register(proven, "one", "one"), source=proven)) == 200
    assert status(exchange(strict, register(challenged, "two"), source=challenged)) == 401
    # A BYE of a dialog that nobody saw goes to whom it names; it starts nothing.
    bye = request("BYE", to="<sip:bob@example.com>;tag=b", cseq="2 BYE")

    with flooded(strict):
        # The step lapses for a moment now and then, to see whether it is still needed.
        unanswered = [not has_served(strict, request("OPTIONS"), stranger) for _ in range(5)]
        assert sum(unanswered) >= 3
        assert all(has_served(strict, request("OPTIONS"), proven) for _ in range(10))
        assert all(has_served(strict, request("OPTIONS"), TRUSTED) for _ in range(10))
        assert has_served(strict, register(challenged, "two", "two"), challenged)
        assert exchange(strict, bye, source=stranger, seconds=1)
        # Made-up credentials show nothing.
        made_up = [has_served(strict, register(stranger, f"made-up-{n}", "guess"), stranger) for n in range(5)]
        assert made_up.count(False) >= 3

    wait_for(lambda: shed(strict)[-1]["event"]["reason"].startswith("over"), "its end is said")
    assert has_served(strict, request("OPTIONS"), stranger)
    wait_for(lambda: turned_away(strict) > 100, "what was turned away is counted")


def test_over_a_connection_they_hear_when_to_try_again(strict: Server) -> None:
    """Each process sheds for itself: here one that reads TCP."""

    def refused() -> bytes:
        with peer("127.0.0.1", strict.port, source="127.17.0.4", transport="tcp") as phone:
            phone.sendall(
                invite(from_=HOSTILE, headers=DEAR, transport="TCP") * 20 + request("OPTIONS", transport="TCP")
            )
            received = b""
            while b"OPTIONS" not in received:
                received += phone.recv(65535)
            return received[received.rindex(b"SIP/2.0 ") :] if b"SIP/2.0 503" in received else b""

    assert b"\r\nRetry-After: 2\r\n" in wait_for(refused, "a 503")
