"""Limits of accounts against a real Kamailio: guesses and sprayed passwords end, the customer goes on, over several workers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from backend import Backend, answer
from harness import SDP, Server, invite, peer, request, status

POLICY = """
[limits]
enabled = false
[accounts]
mode = "enforce"
guesses_per_hour = 10
failures_per_hour = 6
[[domain]]
name = "tenant.example"
calls_per_hour = 3
[dialling]
country = "49"
[[destinations]]
name = "everybody"
mode = "enforce"
per = "account"
expensive = { per_hour = 2 }
"""

RIGHT = "00000000000000000000000000000001"
WRONG = "00000000000000000000000000000002"


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    def script(message: bytes) -> list[bytes]:
        if message.startswith((b"ACK ", b"SIP/2.0")):
            return []
        if message.startswith((b"REGISTER ", b"INVITE ")):
            if f'response="{RIGHT}"'.encode() not in message:
                challenge = 'WWW-Authenticate: Digest realm="example.com", nonce="n1"'
                return [answer(message, 401, "Unauthorized", headers=(challenge,))]
            if message.startswith(b"INVITE "):
                contact = f"Contact: <sip:bob@127.0.0.1:{running.port}>"
                return [answer(message, headers=(contact, "Content-Type: application/sdp"), body=SDP)]
        return [answer(message)]

    running = Backend(script)
    with running:
        yield running


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("accounts"), POLICY, backend=backend.uri, workers=3) as running:
        yield running


def credentials(user: str, response: str, realm: str = "example.com") -> str:
    return f'Authorization: Digest username="{user}", realm="{realm}", nonce="n1", uri="sip:example.com", response="{response}"'


def registers(edge: Server, user: str, source: str, response: str) -> int:
    from_ = f"<sip:{user}@example.com>;tag=r"
    headers = ("Contact: <sip:a@127.0.0.1>", credentials(user, response))
    with peer("127.0.0.1", edge.port, source=source) as phone:
        phone.send(
            request("REGISTER", uri="sip:example.com", from_=from_, to=f"<sip:{user}@example.com>", headers=headers,
                    cseq="2 REGISTER")
        )  # fmt: skip
        return status(phone.recv(65535))


def calls(edge: Server, number: str, user: str, source: str, realm: str = "example.com", response: str = RIGHT) -> int:
    with peer("127.0.0.1", edge.port, source=source) as phone:
        from_, uri = f"<sip:{user}@example.com>;tag=a", f"sip:{number}@example.com"
        raw = invite(
            uri=uri, from_=from_, to=f"<{uri}>", cseq="2 INVITE", headers=(credentials(user, response, realm),)
        )
        phone.send(raw)
        while status(reply := phone.recv(65535)) < 200:
            pass
        to = re.search(rb"\r\nTo: ([^\r]*)", reply)
        call = re.search(rb"\r\nCall-ID: ([^\r]*)", raw)
        assert to and call
        phone.send(request("ACK", uri=uri, from_=from_, to=to[1].decode(), call_id=call[1].decode(), cseq="2 ACK"))
        return status(reply)


def test_one_address_tries_thirty_accounts(edge: Server) -> None:
    answers = [registers(edge, f"user{number}", "127.9.1.1", WRONG) for number in range(30)]
    assert answers == [401] * 11 + [403] * 19
    record = edge.wait_record(lambda one: "account-guesses" in one.get("rule", {}).get("id", []))
    assert record["event"]["reason"] == "credentials for 11 accounts were refused in an hour, 10 are allowed"
    assert registers(edge, "user29", "127.9.1.2", RIGHT) == 200


def test_one_account_is_tried_from_twenty_addresses_and_its_owner_goes_on(edge: Server) -> None:
    assert registers(edge, "alice", "127.9.2.200", RIGHT) == 200
    assert [registers(edge, "alice", f"127.9.2.{number}", WRONG) for number in range(1, 21)] == [401] * 20
    assert [registers(edge, "alice", f"127.9.2.{number}", WRONG) for number in range(1, 21)] == [403] * 20
    assert registers(edge, "alice", "127.9.2.200", RIGHT) == 200
    assert registers(edge, "alice", "127.9.2.201", RIGHT) == 200


def test_a_tenant_has_calls_of_its_own(edge: Server) -> None:
    assert [calls(edge, "300", "bob", f"127.9.3.{number}", "tenant.example") for number in range(1, 6)] == [200] * 3 + [
        403
    ] * 2
    assert [calls(edge, "300", "bob", "127.9.3.1") for _ in range(5)] == [200] * 5


def test_dear_calls_of_an_account_count_where_the_backend_answered_them(edge: Server) -> None:
    # Whoever only claims to be the customer uses nothing of his up.
    assert [calls(edge, "+870123456", "carol", "127.9.4.9", response=WRONG) for _ in range(5)] == [401] * 5
    answers = [calls(edge, "+870123456", "carol", f"127.9.4.{number}") for number in range(1, 5)]
    assert answers == [200, 200, 403, 403]
    assert calls(edge, "+4930123456", "carol", "127.9.4.1") == 200


def test_the_server_is_well_and_nothing_else_was_found(edge: Server) -> None:
    assert edge.alive()
    families = {finding["family"] for record in edge.records() for finding in record.get("findings", ())}
    assert families == {"accounts", "destinations"}
