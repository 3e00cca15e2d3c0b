"""Who trips a limit and who does not: an office behind one address, an attacker on ten ports, all workers together."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from backend import Backend, answer
from harness import SDP, Server, exchange, final, invite, peer, request, status, wait_for


@contextmanager
def sockets(server: Server, source: str, count: int) -> Iterator[list[socket.socket]]:
    """That many ports of one address, each connected to the server."""
    with ExitStack() as stack:
        yield [stack.enter_context(peer("127.0.0.1", server.port, source=source)) for _ in range(count)]


def ask(sock: socket.socket, message: bytes) -> int:
    """The final status of a request."""
    sock.send(message)
    while True:
        code = status(sock.recv(65535))
        if code >= 200:
            return code


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    def script(message: bytes) -> list[bytes]:
        if message.startswith((b"ACK ", b"SIP/2.0")):
            return []
        if message.startswith(b"REGISTER ") and b"\r\nAuthorization:" not in message:
            return [answer(message, 401, "Unauthorized", headers=('WWW-Authenticate: Digest realm="r", nonce="n"',))]
        if b"sip:nobody" in message:
            return [answer(message, 404, "Not Found")]
        if message.startswith(b"INVITE "):
            return [answer(message, headers=("Contact: <sip:bob@127.0.0.1>",), body=SDP)]
        return [answer(message)]

    with Backend(script) as running:
        yield running


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("fair"), backend=backend.uri) as running:
        yield running


def test_an_office_of_thirty_phones_behind_one_address_trips_nothing(edge: Server) -> None:
    """A minute of it at once: every phone registers with a challenge, keeps its binding alive, and calls."""
    with sockets(edge, "127.6.0.1", 30) as phones:
        for number, phone in enumerate(phones):
            user = f"sip:phone{number}@example.com"
            assert ask(phone, request("REGISTER", from_=f"<{user}>;tag=1", to=f"<{user}>")) == 401
            credentials = f'Authorization: Digest username="phone{number}", realm="r", nonce="n", uri="sip:x", response="{number:032x}"'
            assert (
                ask(phone, request("REGISTER", from_=f"<{user}>;tag=1", to=f"<{user}>", headers=(credentials,))) == 200
            )
            for _ in range(4):
                assert ask(phone, request("OPTIONS")) == 200
        for number, phone in enumerate(phones):
            # Some misdial.
            if number < 3:
                assert ask(phone, invite(uri="sip:nobody@example.com")) == 404
            assert ask(phone, invite(uri=f"sip:+4930{number:06}@example.com")) == 200
            assert ask(phone, request("BYE")) == 200
    records = [r for r in edge.records() if r["source"]["ip"] == "127.6.0.1"]
    assert {r["event"]["action"] for r in records} == {"allow"}
    assert len(records) == 30 * 8 + 3


def test_twelve_phones_that_call_at_once_are_fine(edge: Server) -> None:
    with sockets(edge, "127.6.0.2", 12) as phones:
        for phone in phones:
            phone.send(invite())
        for phone in phones:
            while (code := status(phone.recv(65535))) < 200:
                pass
            assert code == 200


def test_ten_ports_whose_calls_fail_are_banned(edge: Server) -> None:
    codes = []
    with sockets(edge, "127.6.0.3", 10) as ports:
        for number, port in enumerate(ports):
            port.settimeout(0.5)
            try:
                codes.append(ask(port, invite(uri=f"sip:nobody{number}@example.com")))
            except TimeoutError:
                codes.append(0)
    assert codes[:5] == [404] * 5
    assert codes[-1] == 0, "dropped natively"
    ban = edge.wait_record(lambda r: r["event"].get("action") == "ban" or "ban" in r, "a ban")
    assert "limit-source-ports" in str(ban)
    # The neighbour calls on.
    assert status(final(edge, invite(), source="127.6.0.4")) == 200


def test_the_cases_46_malformed_invites_over_10_ports_end_in_a_ban(edge: Server) -> None:
    with sockets(edge, "127.6.0.5", 10) as ports:
        for number in range(46):
            # Kamailio can build no answer to these, so nobody waits for one.
            ports[number % 10].send(request("INVITE", to="<sip:900441234@", length="9999"))
    edge.wait_record(lambda r: "ban" in r and r["source"]["ip"] == "127.6.0.5", "a ban")
    assert exchange(edge, invite(), source="127.6.0.5", seconds=0.3) is None
    edge.assert_healthy("127.6.0.6")


def test_shared_counters_are_exact_with_four_workers(tmp_path: Path) -> None:
    """Eight senders of one address at once: exactly as many pass as the policy says, no more and no less."""
    policy = "[limits]\nban_factor = 0\n[limits.other]\nper_minute = 100\n[bans]\nenabled = false\n"
    with Server(tmp_path, policy, workers=4) as server:
        codes: list[int] = []

        def sender() -> None:
            codes.extend(status(exchange(server, request("OPTIONS"), source="127.6.1.1")) for _ in range(40))

        threads = [threading.Thread(target=sender) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(codes) == 320
        seen = [r["counters"]["other"] for r in server.records() if r["source"]["ip"] == "127.6.1.1"]
        windows = sum(1 for a in seen if a == 1)
        # A minute may turn in between: each window lets its first 100 pass, however many fell into it.
        assert codes.count(200) == sum(1 for count in seen if count <= 100)
        assert codes.count(503) == 320 - codes.count(200)
        if windows == 1:
            assert sorted(seen) == list(range(1, 321)), "no count twice, none left out"
        workers = {r["event"]["id"].rsplit("-", 1)[0] for r in server.records()}
        assert len(workers) >= 2, "one worker did it all"


def test_observing_blocks_nothing_and_records_what_would_have_been(tmp_path: Path) -> None:
    policy = 'mode = "observe"\n[limits.other]\nper_minute = 10\n'
    with Server(tmp_path, policy) as server:
        hostile = '"x\' or 1=1--" <sip:a@example.com>;tag=1'
        assert status(exchange(server, request("REGISTER", from_=hostile, call_id="would"), source="127.6.2.1")) == 200
        assert status(exchange(server, request("INVITE", call_id="zero"), source="127.6.2.1")) == 200
        agent = ("User-Agent: friendly-scanner",)
        assert status(exchange(server, request("OPTIONS", call_id="scan", headers=agent), source="127.6.2.1")) == 200
        for call_id in ("would", "zero", "scan"):
            record = server.record_of(call_id)
            assert record["event"]["action"] == "reject"
            assert (record["policy"]["mode"], record["event"]["outcome"]) == ("observe", "unknown")
        assert [status(exchange(server, request("OPTIONS"), source="127.6.2.2")) for _ in range(40)] == [200] * 40
        assert any("limit-other" in r["rule"].get("id", ()) for r in server.records())
        assert not [r for r in server.records("") if "ban" in r or r["event"]["action"] == "banned"]


def test_bans_end(tmp_path: Path) -> None:
    policy = "[limits.other]\nper_minute = 3\n[bans]\nseconds = [1]\n"
    with Server(tmp_path, policy) as server:
        codes = [status(exchange(server, request("OPTIONS"), source="127.6.3.1", seconds=0.3)) for _ in range(12)]
        assert 0 in codes
        # A request of another class has a limit of its own: only the ban stands in its way.
        wait_for(lambda: status(exchange(server, invite(), source="127.6.3.1", seconds=0.3)) == 200, "the ban ends", 15)
