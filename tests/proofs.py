"""What shows that a source is where it says: calls and registrations through an edge, and a backend that answers them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from backend import Backend, answer
from harness import SDP, Server, invite, peer, request, status

CHALLENGE = 'WWW-Authenticate: Digest realm="example.com", nonce="{}"'


@contextmanager
def registrar() -> Iterator[Backend]:
    """Challenges registrations with nonces of their own, accepts what comes back, answers calls and all else."""
    nonces: dict[bytes, str] = {}

    def script(message: bytes) -> list[bytes]:
        if message.startswith(b"REGISTER "):
            call_id = next(line for line in message.split(b"\r\n") if line.startswith(b"Call-ID:"))
            if b"Authorization:" in message:
                return [answer(message)]
            nonces[call_id] = f"n{len(nonces)}"
            return [answer(message, 401, "Unauthorized", headers=(CHALLENGE.format(nonces[call_id]),))]
        if message.startswith(b"INVITE "):
            contact = f"Contact: <sip:bob@127.0.0.1:{running.port}>"
            return [answer(message, headers=(contact, "Content-Type: application/sdp"), body=SDP)]
        return [] if message.startswith((b"ACK ", b"SIP/2.0")) else [answer(message)]

    running = Backend(script)
    with running:
        yield running


def calls(edge: Server, source: str) -> None:
    """A call, answered and acknowledged."""
    call_id = f"call-{source}"
    from_ = "<sip:a@example.com>;tag=a"
    with peer("127.0.0.1", edge.port, source=source) as phone:
        phone.send(invite(from_=from_, call_id=call_id))
        while status(reply := phone.recv(65535)) < 200:
            pass
        assert status(reply) == 200
        to = re.search(rb"\r\nTo: ([^\r]*)", reply)
        assert to
        phone.send(request("ACK", from_=from_, to=to[1].decode(), call_id=call_id, cseq="1 ACK"))
        phone.send(request("BYE", from_=from_, to=to[1].decode(), call_id=call_id, cseq="2 BYE"))
        while b"BYE" not in phone.recv(65535):
            pass


def registers(edge: Server, source: str) -> None:
    """A registration: challenged, then accepted."""
    told = {"uri": "sip:example.com", "call_id": f"register-{source}", "from_": "<sip:a@example.com>;tag=r"}
    contact = "Contact: <sip:a@127.0.0.1>"
    with peer("127.0.0.1", edge.port, source=source) as phone:
        phone.send(request("REGISTER", headers=(contact,), **told))
        challenge = phone.recv(65535)
        assert status(challenge) == 401
        nonce = re.search(rb'nonce="(\w+)"', challenge)
        assert nonce
        credentials = (
            f'Authorization: Digest username="a", realm="example.com", nonce="{nonce[1].decode()}", '
            'uri="sip:example.com", response="0123456789abcdef0123456789abcdef"'
        )
        phone.send(request("REGISTER", headers=(contact, credentials), cseq="2 REGISTER", **told))
        assert status(phone.recv(65535)) == 200
