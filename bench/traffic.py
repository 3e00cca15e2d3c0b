"""Sends SIP messages, each one new, as fast as one core can."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from typing import Final

#: Addresses that a load comes from: a handful would flatter whatever is cached by source.
SOURCES: Final = 64

#: Dialogs that the replies belong to. Each is remembered for hours, so a load must not invent them without end.
DIALOGS: Final = 4096

#: Messages handed to the kernel in one call; 64 is the most that it takes.
BATCH: Final = 64

#: From linux/udp.h, which Python's socket module does not know.
_UDP_SEGMENT: Final = 103

_MARK: Final = b"########"

_REGISTER: Final = b"""\
REGISTER sip:registrar.example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---########;rport
Max-Forwards: 70
Contact: <sip:4930123456@192.0.2.17:5060;transport=udp;rinstance=5f3c27c9a1f4e2b7>;expires=3600
To: "Reception" <sip:4930123456@registrar.example.com>
From: "Reception" <sip:4930123456@registrar.example.com>;tag=########
Call-ID: 84a1f3c2d7b6e5904f2c81a7########
CSeq: 2 REGISTER
Expires: 3600
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, UPDATE
Supported: replaces, outbound, path, gruu
User-Agent: Example SoftPhone 5.6.1 (Linux 64-bit)
Allow-Events: presence, message-summary, refer
Content-Length: 0

"""

_SDP: Final = b"""\
v=0
o=- 1725893 1725893 IN IP4 192.0.2.17
s=call
c=IN IP4 192.0.2.17
t=0 0
m=audio 40012 RTP/AVP 8 0 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
"""

_INVITE: Final = b"""\
INVITE sip:4930654321@registrar.example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---########;rport
Max-Forwards: 70
Contact: <sip:4930123456@192.0.2.17:5060;transport=udp>
To: <sip:4930654321@registrar.example.com>
From: "Reception" <sip:4930123456@registrar.example.com>;tag=########
Call-ID: 84a1f3c2d7b6e5904f2c81a7########
CSeq: 1 INVITE
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, UPDATE
Supported: replaces, timer
User-Agent: Example SoftPhone 5.6.1 (Linux 64-bit)
Content-Type: application/sdp
Content-Length: %d

"""

# The topmost Via names the server, as in an answer to a request that it passed on.
_REPLY: Final = b"""\
SIP/2.0 200 OK
Via: SIP/2.0/UDP 127.0.0.1:@PORT@;branch=z9hG4bK41c2.########.0
Via: SIP/2.0/UDP 192.0.2.17:5060;received=127.1.0.1;branch=z9hG4bK-524287-1---########;rport=5060
Contact: <sip:4930654321@192.0.2.18:5060>
To: <sip:4930654321@registrar.example.com>;tag=7f3a9c1e
From: "Reception" <sip:4930123456@registrar.example.com>;tag=########
Call-ID: 84a1f3c2d7b6e5904f2c81a7########
CSeq: 1 INVITE
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, UPDATE
Server: Example PBX 18.9
Content-Type: application/sdp
Content-Length: %d

"""


def _wire(text: bytes, body: bytes = b"") -> bytes:
    body = body.replace(b"\n", b"\r\n")
    head = text.replace(b"\n", b"\r\n")
    return (head % len(body) if b"%d" in head else head) + body


MESSAGES: Final = {"register": _wire(_REGISTER), "invite": _wire(_INVITE, _SDP), "reply": _wire(_REPLY, _SDP)}


def message(kind: str, port: int, number: int) -> bytes:
    """The message of that kind and number, as a server on `port` gets it."""
    return MESSAGES[kind].replace(b"@PORT@", b"%d" % port).replace(_MARK, b"%08x" % number)


class Load:
    """Sockets of their own for each source, and a running number, so that no two messages are alike."""

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self._number = 0

    def _sender(self, address: str, port: int, size: int) -> Callable[[bytes], int]:
        sender = self._sockets.get(address)
        if sender is None:
            sender = self._sockets[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            # Answers are not read: the kernel throws them away when this little is full.
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sender.bind((address, 0))
        sender.connect(("127.0.0.1", port))
        # The kernel cuts each buffer into datagrams of this size, on the sender's core.
        sender.setsockopt(socket.SOL_UDP, _UDP_SEGMENT, size)
        return sender.send

    def send(self, port: int, kind: str, seconds: float, count: int = 0, address: str = "") -> int:
        """Sends for so many seconds, or until `count` messages are out; returns how many. `address`: the only source."""
        pattern = MESSAGES[kind].replace(b"@PORT@", b"%d" % port)
        addresses = [address] if address else [f"127.1.0.{number + 1}" for number in range(SOURCES)]
        senders = [self._sender(one, port, len(pattern)) for one in addresses]
        # The mark's last two digits tell a batch's messages apart, the others the batches.
        batch = b"".join(pattern.replace(_MARK, b"######%02x" % place) for place in range(BATCH))
        modulus = DIALOGS // BATCH if kind == "reply" else 1 << 24
        number, sent, end = self._number, 0, time.monotonic() + seconds
        while (not count or sent < count) and time.monotonic() < end:
            number += 1
            try:
                senders[number % len(senders)](batch.replace(b"######", b"%06x" % (number % modulus)))
            except ConnectionRefusedError:
                continue
            sent += BATCH
        self._number = number
        return sent


def main() -> None:
    """Reads lines of `port kind seconds count address` and answers each with the number sent."""
    load = Load()
    for line in sys.stdin:
        port, kind, seconds, count, address = line.rstrip("\n").split(" ")
        print(load.send(int(port), kind, float(seconds), int(count), address), flush=True)


if __name__ == "__main__":
    main()
