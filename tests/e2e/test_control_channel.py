"""The ways to a running server: neither a half request in its FIFO nor a missing socket keeps an operator out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Server, exchange, invite, sipsieve, status
from sipsieve_analysis.operate.rpc import Rpc, RpcError

HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'

#: What may stand in a FIFO: a half request, and quotes, braces and backslashes in any disorder.
HALVES = (b"{", b'{"', b'{"a":{"b":[', b'"', b"x", b"}", b'{{{{"\\', b"\xff\0{", b" " * 5000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("control"), workers=1) as running:
        yield running


def fifo(server: Server) -> Path:
    return server.folder / "sipsieve_rpc.fifo"


def socket_of(server: Server) -> Path:
    return server.folder / "sipsieve_rpc.sock"


def poison(server: Server, half: bytes) -> None:
    descriptor = os.open(fifo(server), os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(descriptor, half)
    finally:
        os.close(descriptor)


@pytest.fixture
def without_socket(server: Server) -> Iterator[None]:
    """As where the host loads jsonrpcs itself, with its FIFO alone."""
    hidden = socket_of(server).with_suffix(".hidden")
    socket_of(server).rename(hidden)
    try:
        yield
    finally:
        hidden.rename(socket_of(server))


def test_a_lone_brace_does_not_keep_inspection_on(server: Server) -> None:
    poison(server, b"{")
    began = time.monotonic()
    assert sipsieve(server, "off", "--reason", "test").stdout.startswith("Inspection is off")
    assert time.monotonic() - began < 5
    assert status(exchange(server, invite(from_=HOSTILE))) == 200
    assert json.loads(sipsieve(server, "on", "--json").stdout)["inspection"] == "on"
    assert status(exchange(server, invite(from_=HOSTILE))) == 403


@pytest.mark.usefixtures("without_socket")
@pytest.mark.parametrize("half", HALVES, ids=repr)
def test_a_stuck_fifo_is_freed(server: Server, half: bytes) -> None:
    poison(server, half)
    done = sipsieve(server, "status", "--json")
    assert done.returncode == 0, done.stderr
    # And is no worse for it.
    began = time.monotonic()
    assert isinstance(Rpc(str(fifo(server))).call("core.version"), str)
    assert time.monotonic() - began < 1.5


def test_the_socket_can_be_named(server: Server) -> None:
    assert isinstance(Rpc(str(socket_of(server))).call("core.version"), str)
    with pytest.raises(RpcError, match="no_such"):
        Rpc(str(socket_of(server))).call("no_such.command")


def test_a_list_of_bans_of_any_length_is_whole(server: Server) -> None:
    """Within 64 KiB, beyond that within the socket's buffer, and beyond that: through the FIFO."""
    rpc = Rpc(str(fifo(server)))
    until = int(time.time()) + 600
    for number in range(1, 1501):
        key = f"198.51.{number // 250}.{number % 250}"
        rpc.call("htable.setxs", "sipsieve_bans", key, f"a|manual|1|{until}|1|{'x' * 30}", 600)
        if not number % 100:
            assert len(rpc.table("sipsieve_bans")) == number
    assert len(json.loads(sipsieve(server, "bans", "list", "--json").stdout)) == 1500
    rpc.call("htable.flush", "sipsieve_bans")


def test_without_a_server_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(RpcError, match="Is Kamailio running"):
        Rpc(str(tmp_path / "none.fifo")).call("core.version")
