"""Times `sipsieve hep`'s sensor: messages a second of CPU, HEP packets in, decision records on disk."""

from __future__ import annotations

import ipaddress
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import invite, request
from sipsieve.config import policy
from sipsieve_analysis.hep.sensor import Sensor

#: Messages of a round, as many as are taken at once under load, and rounds, of which the best counts.
MESSAGES, TOGETHER, ROUNDS = 20_000, 2048, 5


def packet(message: bytes, source: str) -> bytes:
    """A HEP3 packet as siptrace sends it."""

    def chunk(number: int, value: bytes) -> bytes:
        return b"\0\0" + number.to_bytes(2, "big") + (6 + len(value)).to_bytes(2, "big") + value

    address = ipaddress.ip_address(source).packed
    chunks = b"".join(
        [
            chunk(1, b"\2"), chunk(2, b"\x11"), chunk(3, address), chunk(4, b"\x7f\0\0\1"), chunk(7, b"\x13\xc4"),
            chunk(8, b"\x13\xc4"), chunk(9, int(time.time()).to_bytes(4, "big")), chunk(10, b"\0\0\0\0"),
            chunk(11, b"\1"), chunk(12, b"\0\0\0\7"), chunk(15, message),
        ]
    )  # fmt: skip
    return b"HEP3" + (6 + len(chunks)).to_bytes(2, "big") + chunks


def main() -> None:
    """Prints the best round's messages a second of CPU."""
    packets = [
        packet(request() if number % 3 else invite(), f"203.0.{number % 200}.{number % 250}")
        for number in range(MESSAGES)
    ]
    with tempfile.TemporaryDirectory() as folder:
        sensor = Sensor(policy.loads(""), Path(folder) / "decisions.jsonl", ["127.0.0.1"])
        best = float("inf")
        for _ in range(ROUNDS):
            began = time.process_time()
            for at in range(0, len(packets), TOGETHER):
                sensor.take(packets[at : at + TOGETHER])
            best = min(best, time.process_time() - began)
        sensor.close()
    print(
        f"{len(packets) / best:,.0f} messages a second of one core's time, {sum(map(len, packets)) / len(packets):.0f} bytes each"
    )


if __name__ == "__main__":
    main()
