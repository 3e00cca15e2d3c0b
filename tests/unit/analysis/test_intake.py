"""What brings records into the store, and what the analysis works out once."""

from __future__ import annotations

import gc
import ipaddress
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path

import pytest

from sipsieve_analysis import census, garbage, habits, pace
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector, InputKind, Intake, _Parts

LINE = "Nov 16 10:{minute:02}:{second:02} edge kamailio[{pid}]: INFO: <script>: REGISTER from 192.0.2.{host}:5060 fu=sip:{user}@example.com\n"


class _Broken:
    """A store that fails behind the first piece."""

    def __init__(self) -> None:
        self.taken = 0

    def add_pieces(self, lines: Iterable[bytes], kind: str) -> int:
        for _ in lines:
            self.taken += 1
            raise OSError("no space left")
        return 0


@pytest.mark.parametrize("pieces", [1, 3, 200])
def test_nobody_waits_for_a_store_that_failed(pieces: int) -> None:
    store = _Broken()
    with pytest.raises(OSError, match="no space left"), _Parts(store, InputKind.RAW, Intake()) as parts:  # type: ignore[arg-type]
        for _ in range(pieces):
            parts.write(b"{}\n")
    assert store.taken == 1


def test_all_pieces_of_an_input_come_into_the_store_and_are_counted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    log = tmp_path / "kamailio.log"
    # Some pieces of a megabyte each.
    text = "".join(
        LINE.format(minute=n // 60 % 60, second=n % 60, pid=n % 8, host=n % 50 + 1, user=n % 700) for n in range(30_000)
    )
    log.write_text(text)
    assert len(text) > 2 << 20
    collector = Collector(store, tmp_path, UTC, year=2026)
    collector.add(log)
    collector.finish()
    assert collector.intake.records == {InputKind.RAW.value: 30_000}
    assert store.events.count().to_pyarrow().as_py() == 30_000
    # The busiest minute of all is that of their sums.
    ips = {f"192.0.2.{host}" for host in range(1, 20)}
    minutes: dict[int, int] = {}
    for counts in census.spans(store, ips, census.MINUTE_US).values():
        for minute, count in counts.items():
            minutes[minute] = minutes.get(minute, 0) + count
    assert pace.busiest(store, ips, census.MINUTE_US) == max(minutes.values())
    assert pace.busiest(store, {"198.51.100.1"}, census.MINUTE_US) == 0
    store.close()


def test_the_search_for_dead_objects_is_as_before_behind_an_analysis() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="no"), garbage.seldom():
        assert gc.get_threshold()[0] > before[0]
        raise ValueError("no")
    assert gc.get_threshold() == before


def test_networks_are_those_of_their_addresses() -> None:
    for ip in ("192.0.2.7", "10.0.0.0", "255.255.255.255", "2001:db8::7", "::ffff:192.0.2.7"):
        size = 24 if ipaddress.ip_address(ip).version == 4 else 64
        assert habits.network(ip) == str(ipaddress.ip_network(f"{ip}/{size}", strict=False))
    assert habits.network("2001:db8:0:1") == "2001:db8:0:1::/64"
    assert not habits.network("192.0.2.07") and not habits.network("") and not habits.network("a.b.c.d")
