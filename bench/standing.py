"""Calls of an office, a call centre and a carrier with standing while each flood runs: each call is tried once, and all must succeed."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from flood import BACKEND, FLOODS, RATE
from forged import forge
from harness import ROOT, Server, free_port, invite, peer, request, status

#: A minute with a call is enough here, so that nobody waits for three; and what the guard needs for its last step of shedding.
POLICY: Final = """[log]
allow = "summary"
[bans]
earned_minutes = 1
[limits]
capacity = 8192
[shedding]
unproven_percent = 80
strangers_per_second = 100
"""

#: Seconds after which each call has been given up (RFC 3261 17.1.1.2, timer B), and the first wait before a request is sent again.
GIVEN_UP: Final = 32.0
T1: Final = 0.5


class Customer(NamedTuple):
    """Who calls: from one address, on so many ports at once, with so many seconds between the calls of a port."""

    name: str
    address: str
    ports: int
    pause: float


#: Each stays below `limits.invite`, 120 a minute and 120 more once in a while; a carrier in a trusted network would have no limit.
CUSTOMERS: Final = (
    Customer("office of 30 phones", "127.20.1.1", 30, 20.0),
    Customer("call centre", "127.20.1.2", 4, 2.5),
    Customer("carrier", "127.20.1.3", 8, 5.0),
)

#: What is sent in the customers' own names: whoever forges it can't read the answers.
IN_THEIR_NAME: Final = b"INVITE sip:%d SIP/2.0\r\nVia: SIP/2.0/UDP \x00?;;=\r\nFrom\r\nTo: <<%d\r\n\r\n"

_serial = itertools.count()


class Call:
    """One call on one port, sent again as RFC 3261 has it; what became of it is 200 where it was answered and ended."""

    def __init__(self, port: socket.socket) -> None:
        self._port = port
        self._call_id = f"standing-{next(_serial)}-{time.monotonic_ns()}"
        self._from = "<sip:customer@example.com>;tag=c"

    def made(self) -> int:
        """The final status of the INVITE, or of the BYE where the call was answered; 0: none came."""
        reply = self._asked(
            invite(from_=self._from, call_id=self._call_id, branch=f"z9hG4bK{self._call_id}i"), b"INVITE"
        )
        if status(reply) != 200:
            return status(reply) if reply else 0
        to, contact = (_field(reply, name) for name in ("To", "Contact"))
        # As for a caller: the route is the recorded one backwards (RFC 3261 12.1.2).
        recorded = re.findall(rb"\r\nRecord-Route: ([^\r]*)", reply)
        routes = tuple(f"Route: {route.decode()}" for route in reversed(recorded))
        told = {"uri": contact.strip("<>"), "from_": self._from, "to": to, "call_id": self._call_id, "headers": routes}
        self._port.send(request("ACK", cseq="1 ACK", branch=f"z9hG4bK{self._call_id}a", **told))
        reply = self._asked(request("BYE", cseq="2 BYE", branch=f"z9hG4bK{self._call_id}b", **told), b"BYE")
        return status(reply) if reply else 0

    def _asked(self, message: bytes, method: bytes) -> bytes:
        """The final answer to a request, sent again until it comes; b"" where none does."""
        begun, wait = time.monotonic(), T1
        while time.monotonic() < begun + GIVEN_UP:
            self._port.send(message)
            again = time.monotonic() + wait
            wait = min(2 * wait, 4.0) if method != b"INVITE" else 2 * wait
            while (left := again - time.monotonic()) > 0:
                self._port.settimeout(left)
                try:
                    reply = self._port.recv(65535)
                except TimeoutError:
                    break
                of_it = self._call_id.encode() in reply and b" " + method + b"\r\n" in reply
                if of_it and status(reply) >= 200:
                    return reply
                if of_it:
                    # Provisional: an INVITE is not sent again.
                    again = begun + GIVEN_UP
        return b""


def _field(message: bytes, name: str) -> str:
    found = re.search(rb"\r\n" + name.encode() + rb": ([^\r]*)", message)
    return found[1].decode() if found else ""


def called(customer: Customer, server_port: int, until: float) -> dict[int, int]:
    """All calls of a customer up to then, on all its ports at once: how many ended with which status."""
    ends: dict[int, int] = {}
    lock = threading.Lock()

    def phone(number: int) -> None:
        # Not all at the same moment; each calls once at least.
        first = time.monotonic() + (until - time.monotonic()) * number / (customer.ports + 1)
        with peer("127.0.0.1", server_port, source=customer.address) as port:
            while True:
                time.sleep(max(0.0, first - time.monotonic()))
                code = Call(port).made()
                with lock:
                    ends[code] = ends.get(code, 0) + 1
                first = time.monotonic() + customer.pause
                if first >= until:
                    return

    threads = [threading.Thread(target=phone, args=(number,)) for number in range(customer.ports)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def everybody(server_port: int, seconds: float) -> dict[str, dict[int, int]]:
    """The calls of all customers in so many seconds."""
    until = time.monotonic() + seconds
    found: dict[str, dict[int, int]] = {}

    def one(customer: Customer) -> None:
        found[customer.name] = called(customer, server_port, until)

    threads = [threading.Thread(target=one, args=(customer,)) for customer in CUSTOMERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@contextmanager
def flooded(kind: str, port: int, seconds: float, rate: int) -> Iterator[None]:
    """A flood in a process of its own, which ends with the block."""
    itself = [sys.executable, str(Path(__file__).resolve()), "--port", str(port), "--rate", str(rate), "--flood", kind]
    process = subprocess.Popen(["nice", "-n", "10", *itself, "--seconds", str(seconds + 60)], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def send(kind: str, port: int, seconds: float, rate: int) -> None:
    """One flood, in this process."""
    if kind == "forged":
        begun = time.monotonic()
        for first in itertools.count(0, 1000):
            if time.monotonic() > begun + seconds:
                return
            forge(port, first % 1_000_000, 1000)
    if kind == "in their name":
        sockets = []
        for customer in CUSTOMERS:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((customer.address, 0))
            sock.connect(("127.0.0.1", port))
            sock.setblocking(False)
            sockets.append(sock)
        begun = time.monotonic()
        for number in itertools.count():
            if time.monotonic() > begun + seconds:
                return
            try:
                sockets[number % len(sockets)].send(IN_THEIR_NAME % (number, number))
            except OSError:
                continue
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
    from flood import flood

    flood(kind, port, seconds, rate)


def run(folder: Path, seconds: float, rate: int, kinds: tuple[str, ...]) -> dict[str, dict[str, dict[int, int]]]:
    """By flood and customer, how many calls ended with which status; the first is without a flood, in which standing is earned."""
    backend_port = free_port()
    (folder / "backend.cfg").write_text(BACKEND.replace("PORT", str(backend_port)))
    found = {}
    with (
        Server(folder / "backend", config=folder / "backend.cfg", port=backend_port),
        Server(folder / "edge", POLICY, ROOT / "kamailio.cfg", backend=f"sip:127.0.0.1:{backend_port}") as edge,
    ):
        found["none"] = everybody(edge.port, min(seconds, 2.0))
        for kind in kinds:
            with flooded(kind, edge.port, seconds, rate):
                found[kind] = everybody(edge.port, seconds)
        assert edge.alive(), "the server lives"
    return found


KINDS: Final = (*FLOODS, "forged", "in their name")


def main() -> None:
    """Prints a table; exits with 1 where a call failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long each flood lasts (20)")
    parser.add_argument("--rate", type=int, default=RATE, help=f"datagrams a second of a flood ({RATE})")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--only", choices=KINDS, action="append", help="this flood, and no other that is not named too")
    parser.add_argument("--flood", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.flood:
        send(arguments.flood, arguments.port, arguments.seconds, arguments.rate)
        return
    with tempfile.TemporaryDirectory(prefix="sipsieve-standing-") as folder:
        found = run(Path(folder), arguments.seconds, arguments.rate, tuple(arguments.only or KINDS))
    print(f"{'flood':14}" + "".join(f" {customer.name:>22}" for customer in CUSTOMERS))
    failed = 0
    for kind, ends in found.items():
        cells = []
        for customer in CUSTOMERS:
            codes = ends[customer.name]
            failed += sum(count for code, count in codes.items() if code != 200)
            cells.append(f"{codes.get(200, 0)} of {sum(codes.values())}")
        print(f"{kind:14}" + "".join(f" {cell:>22}" for cell in cells), flush=True)
    if arguments.json:
        figures: dict[str, Any] = found
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    print("goal (every call succeeds at its one try): " + ("met" if not failed else f"MISSED: {failed} failed"))
    raise SystemExit(0 if not failed else 1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
