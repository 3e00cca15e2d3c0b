"""Limits against a real Kamailio: what is counted, what follows, and what must not be hit."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Server, exchange, free_port, invite, peer, request, status, wait_for
from sipsieve.abuse.sources import key
from sipsieve_analysis.operate.rpc import Rpc

POLICY = """
[limits]
ban_factor = 2
[limits.invite]
per_minute = 5
[limits.register]
per_minute = 4
[limits.other]
per_minute = 40
[limits.targets]
per_minute = 8
[limits.malformed]
per_minute = 6
[limits.source_ports]
per_minute = 3

[[network]]
cidr = "127.7.0.0/16"
trusted = true

[[network]]
cidr = "127.7.7.0/24"
[network.limits]
invite = { per_minute = 2 }

[[network]]
cidr = "127.8.0.0/16"
mode = "observe"
"""


@pytest.fixture(autouse=True)
def within_a_window() -> None:
    """What is counted exactly must not cross the border of a minute, where the count before is only estimated."""
    wait_for(lambda: time.monotonic() % 60 < 55, "the next minute begins")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("limits")
    with Server(folder, POLICY) as running:
        yield running
        assert "sipsieve: " not in "".join(line for line in running.text().splitlines() if "ERROR" in line)


def burst(server: Server, source: str, count: int, method: str = "INVITE", **changes: object) -> list[int]:
    """Status codes of the answers to `count` requests, sent one after another; 0 where there was none."""
    make = invite if method == "INVITE" else lambda **c: request(method, **c)
    return [status(exchange(server, make(**changes), source=source, seconds=0.4)) for _ in range(count)]


def banned(server: Server, key: str) -> dict[str, object]:
    """The record of the ban on a key."""
    record = server.wait_record(
        lambda r: r["event"].get("action") == "ban" and r["event"].get("source") == key, f"a ban on {key}"
    )
    return dict(record["event"])


def test_too_many_invites_are_refused_then_banned(server: Server) -> None:
    answers = burst(server, "127.1.0.1", 14)
    assert answers[:5] == [200] * 5
    assert answers[5:11] == [503] * 6
    assert answers[11:] == [0] * 3
    event = banned(server, "127.1.0.1")
    assert (event["rule"], event["seconds"], event["udp_only"]) == ("limit-invite", 60, True)


def test_a_503_says_when_to_try_again(server: Server) -> None:
    for _ in range(5):
        exchange(server, invite(), source="127.1.0.2")
    answer = exchange(server, invite(), source="127.1.0.2") or b""
    assert status(answer) == 503
    assert b"\r\nRetry-After: " in answer


def test_method_classes_have_limits_of_their_own(server: Server) -> None:
    assert burst(server, "127.1.0.3", 6)[-1] == 503
    assert burst(server, "127.1.0.3", 4, "REGISTER") == [200] * 4
    assert burst(server, "127.1.0.3", 1, "REGISTER") == [503]
    assert burst(server, "127.1.0.3", 4, "OPTIONS") == [200] * 4


def test_cancel_is_never_limited(server: Server) -> None:
    assert burst(server, "127.1.0.4", 6)[-1] == 503
    # There is no transaction to cancel: 5.6 is silent, 6.0 says 481. No 503 is what counts.
    assert set(burst(server, "127.1.0.4", 8, "CANCEL")) <= {0, 481}
    assert burst(server, "127.1.0.4", 1, "OPTIONS") == [200]


def test_retransmissions_count_once(server: Server) -> None:
    same = invite()
    with peer("127.0.0.1", server.port, source="127.1.0.5") as sock:
        for _ in range(8):
            sock.send(same)
        assert status(sock.recv(4096)) == 200
    assert burst(server, "127.1.0.5", 5) == [200] * 4 + [503]


def test_who_tries_many_numbers_is_refused(server: Server) -> None:
    answers = [
        status(exchange(server, request("OPTIONS", uri=f"sip:{100 + n}@example.com"), source="127.1.0.6", seconds=0.4))
        for n in range(30)
    ]
    assert answers[:8] == [200] * 8
    assert 503 in answers
    same = burst(server, "127.1.0.7", 30, "OPTIONS", uri="sip:100@example.com")
    assert same == [200] * 30


def test_garbage_from_many_ports_is_banned(server: Server) -> None:
    for _ in range(5):
        exchange(server, b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40, source="127.1.0.8", seconds=0.05)
    assert banned(server, "127.1.0.8")["rule"] == "limit-source-ports"
    assert burst(server, "127.1.0.8", 1, "OPTIONS") == [0]


def test_a_ban_on_datagrams_leaves_connections_open(server: Server) -> None:
    burst(server, "127.1.0.9", 14)
    banned(server, "127.1.0.9")
    assert burst(server, "127.1.0.9", 1, "OPTIONS") == [0]
    with peer("127.0.0.1", server.port, source="127.1.0.9", transport="tcp") as sock:
        sock.send(request("OPTIONS", transport="TCP"))
        assert status(sock.recv(4096)) == 200


def test_a_ban_on_a_connection_closes_it(server: Server) -> None:
    with peer("127.0.0.1", server.port, source="127.1.0.10", transport="tcp") as sock:
        answers = []
        for _ in range(12):
            sock.send(invite(transport="TCP"))
            data = sock.recv(65535)
            if not data:
                break
            answers.append(status(data))
            if banned_now(server, "127.1.0.10"):
                break
        sock.send(invite(transport="TCP"))
        assert sock.recv(65535) == b"", "the connection is closed"
    event = banned(server, "127.1.0.10")
    assert event["udp_only"] is False
    assert burst(server, "127.1.0.10", 1, "OPTIONS") == [0]


def banned_now(server: Server, key: str) -> bool:
    """Whether the log shows a ban on that key already."""
    return any(r["event"].get("action") == "ban" and r["event"].get("source") == key for r in server.records(""))


def test_trusted_networks_are_neither_limited_nor_banned(server: Server) -> None:
    assert burst(server, "127.7.0.1", 14) == [200] * 14


def test_the_longest_prefix_wins(server: Server) -> None:
    assert burst(server, "127.7.7.1", 3) == [200, 200, 503]


def test_an_observed_network_is_counted_but_not_refused(server: Server) -> None:
    assert burst(server, "127.8.0.1", 14) == [200] * 14
    record = server.wait_record(
        lambda r: r.get("source", {}).get("ip") == "127.8.0.1" and r["event"]["action"] == "reject", "what would be"
    )
    assert record["event"]["outcome"] == "unknown"
    assert not banned_now(server, "127.8.0.1")


def test_the_servers_own_address_is_never_banned(server: Server) -> None:
    assert set(burst(server, "127.0.0.1", 14)[6:]) == {503}
    assert not banned_now(server, "127.0.0.1")


def test_ipv6_is_counted_by_its_64_and_banned_natively(tmp_path: Path) -> None:
    # ::1 is the only IPv6 address of loopback; the server listens on IPv4 too, and ::1 is its own there,
    # so the ban is put by hand: what is shown is that the native key is the one of network.key.
    port = free_port("::1")
    with Server(tmp_path, POLICY, port=port, listen=f"udp:[::1]:{port}"):
        name = key(ipaddress.ip_address("::1"))
        with peer("::1", port, source="::1") as sock:
            sock.send(request("OPTIONS"))
            assert status(sock.recv(4096)) == 200
            # Put again and again: the server lifts a ban on itself within a second.
            rpc = Rpc(str(tmp_path / "sipsieve_rpc.fifo"))
            rpc.call("htable.setxs", "sipsieve_bans", name, "a|manual|1|4000000000|1|test", 60)
            sock.settimeout(0.3)
            sock.send(request("OPTIONS"))
            with pytest.raises(TimeoutError):
                sock.recv(4096)

            def lifted() -> bool:
                sock.send(request("OPTIONS"))
                try:
                    return status(sock.recv(4096)) == 200
                except TimeoutError:
                    return False

            wait_for(lifted, "the server lifts a ban on its own address")
