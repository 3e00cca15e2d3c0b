"""What every Kamailio must do with sipsieve in it: start, register, refuse an attack, ban, change its policy, end. Quick, for `make suite-test`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import Backend, answer
from harness import Server, exchange, final, request, sipsieve, status, wait_for

ATTACK = "\"x' OR '1'='1' UNION SELECT password FROM users --\" <sip:a@example.com>;tag=a1"


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend(lambda message: [] if message.startswith((b"ACK ", b"SIP/2.0")) else [answer(message)]) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("smoke"), backend=backend.uri, workers=2) as running:
        yield running


def test_it_starts_and_says_so(server: Server) -> None:
    # Where one was built beside Debian's, it is that one.
    found = shutil.which("kamailio")
    assert found and server.process
    assert Path(f"/proc/{server.process.pid}/exe").resolve() == Path(found).resolve()
    assert server.records("state")[0]["event"]["action"] == "start"
    server.assert_healthy()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_phone_registers_and_the_backend_hears_of_it(server: Server, backend: Backend, transport: str) -> None:
    before = len(backend.received)
    said = final(server, request("REGISTER", uri="sip:example.com", transport=transport.upper()), transport=transport)
    assert status(said) == 200
    assert [message.split()[0] for message in backend.received[before:]] == [b"REGISTER"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_attack_is_refused_recorded_and_never_relayed(server: Server, backend: Backend, transport: str) -> None:
    before = len(backend.received)
    source = "127.0.4.1" if transport == "udp" else "127.0.4.2"
    hostile = request(from_=ATTACK, transport=transport.upper())
    assert status(exchange(server, hostile, source=source, transport=transport)) == 403
    record = server.record_from(source)
    assert record["event"]["action"] == "reject" and "sql-union-select" in record["rule"]["id"], record
    assert backend.received[before:] == []


def test_a_hostile_answer_reaches_the_caller_without_what_is_hostile(tmp_path: Path) -> None:
    def script(message: bytes) -> list[bytes]:
        return [answer(message, 200, "OK", headers=("Server: $(touch /tmp/x)`id`",))]

    with Backend(script) as hostile, Server(tmp_path, backend=hostile.uri, workers=2) as server:
        said = final(server, request())
        assert status(said) == 200 and b"touch" not in said
        server.assert_healthy()


def test_who_keeps_on_is_banned_and_let_in_again(server: Server) -> None:
    for _ in range(12):
        exchange(server, request(from_=ATTACK), source="127.0.4.3", seconds=0.5)

    def banned() -> list[dict[str, object]]:
        said = sipsieve(server, "bans", "list", "--json").stdout
        return [one for one in json.loads(said) if "127.0.4.3" in json.dumps(one)]

    wait_for(banned, "the ban")
    assert exchange(server, request(), source="127.0.4.3", seconds=0.5) is None
    assert sipsieve(server, "bans", "remove", "127.0.4.3").returncode == 0
    wait_for(lambda: exchange(server, request(), source="127.0.4.3", seconds=0.5), "an answer after the ban")


def test_a_reload_and_a_value_for_a_time_hold_and_off_lets_everything_pass(server: Server) -> None:
    server.policy.write_text('[actions]\nsql = "log"\n')
    done = sipsieve(server, "reload")
    assert done.returncode == 0, done
    wait_for(lambda: status(exchange(server, request(from_=ATTACK), source="127.0.4.4")) == 200, "the new policy")
    done = sipsieve(server, "set", "actions.sql", "reject", "--for", "1h")
    assert done.returncode == 0, done
    wait_for(lambda: status(exchange(server, request(from_=ATTACK), source="127.0.4.5")) == 403, "what was set")
    assert sipsieve(server, "off").returncode == 0
    wait_for(lambda: status(exchange(server, request(from_=ATTACK), source="127.0.4.6")) == 200, "inspection off")
    assert sipsieve(server, "on").returncode == 0
    told = sipsieve(server, "status")
    assert told.returncode == 0 and "actions.sql = reject" in told.stdout, told
    server.assert_healthy()
