"""Sends prepared messages from any address of the loopback network, as fast as one core can.

Reads commands from standard input, a line each, and answers each with a number:
`prepare KIND ROUND COUNT` makes that many messages (mix, replies, hostile, malformed), `send PORT RATE` sends them all (RATE
messages a second, 0: no pause).
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from typing import Final

from hostile import hostile, malformed
from mix import Traffic

#: Where all of it comes from; one socket on all addresses takes the answers, and throws them away.
PORT: Final = 15062

_IP: Final = struct.Struct("!BBHHHBBH4s4s")
_UDP: Final = struct.Struct("!HHHH")


def packet(source: str, port: int, payload: bytes) -> bytes:
    """A datagram from `source` to 127.0.0.1, as the kernel takes it: it fills in checksum and identification."""
    length = 28 + len(payload)
    addresses = socket.inet_aton(source), socket.inet_aton("127.0.0.1")
    return (
        _IP.pack(0x45, 0, length, 0, 0, 64, socket.IPPROTO_UDP, 0, *addresses)
        + _UDP.pack(PORT, port, length - 20, 0)
        + payload
    )


class Sender:
    """One raw socket, and what is to be sent."""

    def __init__(self) -> None:
        self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._sink.bind(("0.0.0.0", PORT))
        self._traffic = Traffic()
        self._messages: list[tuple[str, bytes]] = []

    def prepare(self, kind: str, round_: int, count: int) -> int:
        """Makes messages. A kind may name one make, method or kind of name: `mix:make=desk-a`."""
        if kind.startswith("mix"):
            only = dict([kind.partition(":")[2].split("=")]) if ":" in kind else {}
            found: list[tuple[str, bytes]] = []
            part = 0
            while len(found) < count:
                sent = self._traffic.requests(round_ * 100 + part, count)
                wanted = [one for one in sent if all(getattr(one, name) == value for name, value in only.items())]
                found += [(one.address, one.raw) for one in wanted]
                part += 1
            self._messages = found[:count]
        else:
            make = {"hostile": hostile, "malformed": malformed}[kind]
            self._messages = [make(round_ * count + number) for number in range(count)]
        return len(self._messages)

    def send(self, port: int, rate: float) -> int:
        """Sends them all; how many."""
        packets = [packet(address, port, raw) for address, raw in self._messages]
        began = time.monotonic()
        for number, one in enumerate(packets):
            if rate and not number & 15:
                wait = began + number / rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
            try:
                self._raw.sendto(one, ("127.0.0.1", 0))
            except PermissionError as error:
                # Each message has a source of its own, and a firewall of containers follows each.
                raise SystemExit(
                    f"sender: {error}: the kernel takes no more packets; its table of connections may be full (sysctl "
                    "net.netfilter.nf_conntrack_count, nf_conntrack_max): wait a minute or two"
                ) from error
        return len(packets)


def main() -> None:
    """Does what it is told until the input ends."""
    sender = Sender()
    for line in sys.stdin:
        what, *words = line.split()
        if what == "prepare":
            print(sender.prepare(words[0], int(words[1]), int(words[2])), flush=True)
        else:
            print(sender.send(int(words[0]), float(words[1])), flush=True)


if __name__ == "__main__":
    main()
