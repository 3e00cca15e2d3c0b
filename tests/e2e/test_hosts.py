"""sipsieve in configurations that others wrote: one line after the last loadmodule, and calls go on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import KEMI, ROOT, Server, exchange, final, free_port, invite, request, status, wait_for

STOCK = Path("/etc/kamailio/kamailio.cfg")
SIPP = Path(__file__).with_name("sipp")
INCLUDE = f'include_file "{KEMI}/sipsieve.cfg"'


def stock(folder: Path, port: int, *defines: str, include: str = INCLUDE) -> Path:
    """Debian's kamailio.cfg with these features, a socket of its own, and our line after the last loadmodule."""
    lines = STOCK.read_text().split("\n")
    last = max(number for number, line in enumerate(lines) if line.startswith("loadmodule"))
    # The last one stands inside an #!ifdef.
    last = next(number for number in range(last, len(lines)) if lines[number].startswith("#!endif"))
    lines.insert(last + 1, include)
    lines[1:1] = [*(f"#!define {name}" for name in defines), f"listen=udp:127.0.0.1:{port}"]
    path = folder / "kamailio.cfg"
    path.write_text("\n".join(lines))
    return path


def host(folder: Path, config: Path, port: int, policy: str = "", **more: object) -> Server:
    """A server on that configuration, written for `port`."""
    return Server(folder, policy, config, port=port, listen=f"udp:127.0.0.1:{port}", **more)  # type: ignore[arg-type]


def sipp(*arguments: str, seconds: float = 30) -> None:
    """Runs sipp to its end; its exit code says whether every call went as the scenario says."""
    done = subprocess.run(
        ["sipp", *arguments, "-nostdin", "-timeout", f"{seconds:g}s", "-timeout_error"],
        capture_output=True, text=True, timeout=seconds + 10, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"sipp ended with {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}"


@contextmanager
def answering(source: str = "127.0.0.1") -> Iterator[int]:
    """A phone that answers calls (the lab's); yields its port."""
    port = free_port()
    phone = subprocess.Popen(
        ["sipp", "-sf", str(ROOT / "lab" / "sipp" / "uas.xml"), "-i", source, "-bind_local", "-p", str(port), "-nostdin"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: f":{port:04X} " in Path("/proc/net/udp").read_text(), "the phone listens")
        yield port
    finally:
        phone.terminate()
        phone.wait(10)


def register_and_call(server: Server, calls: int = 3) -> None:
    """A registration and calls to the registered phone, all of which must succeed."""
    target = f"127.0.0.1:{server.port}"
    with answering() as port:
        sipp(
            target,
            "-sf",
            str(SIPP / "register.xml"),
            "-i",
            "127.0.0.1",
            "-m",
            "1",
            "-key",
            "target",
            f"127.0.0.1:{port}",
        )
        sipp(
            target,
            "-sf",
            str(SIPP / "call.xml"),
            "-s",
            "bob",
            "-i",
            "127.0.0.1",
            "-m",
            str(calls),
            "-r",
            "3",
            "-d",
            "100",
        )
    seen = [r["sip"]["method"] for r in server.records()]
    assert seen.count("REGISTER") >= 1
    assert seen.count("INVITE") >= 2 * calls, "requests and replies are seen"
    assert {r["event"]["action"] for r in server.records()} == {"allow"}


def refuses_attacks(server: Server) -> None:
    """The host's own routing never sees an attack."""
    sent = request("REGISTER", from_='"x\' or 1=1--" <sip:a@example.com>;tag=1', call_id="attack")
    assert status(exchange(server, sent, source="127.7.0.1")) == 403
    assert server.record_of("attack")["event"]["action"] == "reject"


@pytest.mark.parametrize("defines", [(), ("WITH_ANTIFLOOD",), ("WITH_NAT",)], ids=["plain", "antiflood", "nat"])
def test_debians_own_configuration_takes_the_line(tmp_path: Path, defines: tuple[str, ...]) -> None:
    port = free_port()
    with host(tmp_path, stock(tmp_path, port, *defines), port) as server:
        register_and_call(server)
        refuses_attacks(server)
        assert server.alive()
        assert set(server.started) <= set(server.children())


HOST_SCRIPT = """
import sys
sys.path.insert(1, {kemi!r})
import KSR
from sipsieve_kemi import Sipsieve


class Exchange({base}):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def child_init(self, rank):
        {child_init}
        return 0

    def route_it(self, msg, *parameters):
        KSR.sl.sl_send_reply(202, "Host")
        return 1

    def raises(self, msg, *parameters):
        raise ValueError("the host's own mistake")

    def gives_none(self, msg, *parameters):
        return None


def mod_init():
    return Exchange()
"""

HOST_CONFIG = """#!KAMAILIO
#!trydefenv SIPSIEVE_LISTEN
children=4
debug=2
log_stderror=yes
listen=SIPSIEVE_LISTEN
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "app_python3.so"
modparam("app_python3", "load", "{script}")
{include}
request_route {{
	{request}
	exit;
}}
"""


def python_host(
    folder: Path,
    *,
    inherits: bool = True,
    request: str = 'python_exec("route_it");',
    child_init: str = "super().child_init(rank)",
    include: str = INCLUDE,
    script: str = HOST_SCRIPT,
) -> Path:
    """A host that has app_python3 and a script of its own."""
    path = folder / "host.py"
    base = "Sipsieve" if inherits else "object"
    path.write_text(script.format(kemi=str(KEMI), base=base, child_init=child_init if inherits else "pass"))
    config = folder / "kamailio.cfg"
    config.write_text(HOST_CONFIG.format(script=path, include=include, request=request))
    return config


def test_a_host_whose_class_inherits_ours(tmp_path: Path) -> None:
    port = free_port()
    with host(tmp_path, python_host(tmp_path), port) as server:
        assert status(exchange(server, invite(call_id="hosted"))) == 202
        assert server.record_of("hosted")["event"]["action"] == "allow"
        refuses_attacks(server)


def test_a_host_whose_class_does_not_inherit_is_refused_at_start(tmp_path: Path) -> None:
    port = free_port()
    server = host(tmp_path, python_host(tmp_path, inherits=False), port)
    with pytest.raises(AssertionError, match="Kamailio ended"):
        server.start()
    assert server.stop() == -signal.SIGABRT
    said = server.text()
    assert "from sipsieve_kemi import Sipsieve" in said
    assert "class YourClass(Sipsieve)" in said
    assert str(KEMI) in said


@pytest.mark.parametrize("call", ["raises", "gives_none", "no_such_method"])
def test_what_the_hosts_last_call_left_behind_disturbs_nothing(tmp_path: Path, call: str) -> None:
    port = free_port()
    config = python_host(tmp_path, request=f'python_exec("{call}");\n\tsl_send_reply("202", "Host");')
    with host(tmp_path, config, port, workers=1) as server:
        for number in range(8):
            # The attack comes right after the host's failed call, in the same worker.
            assert status(exchange(server, request("OPTIONS", call_id=f"clean-{number}"))) == 202
            attack = request("OPTIONS", from_='"$(id)" <sip:a@example.com>;tag=1', call_id=f"attack-{number}")
            assert status(exchange(server, attack)) == 403
        ids = [r["sip"]["call_id"] for r in server.records()]
        assert sorted(ids) == sorted([f"{kind}-{n}" for n in range(8) for kind in ("clean", "attack")])
        actions = {r["sip"]["call_id"]: r["event"]["action"] for r in server.records()}
        assert all(actions[f"clean-{n}"] == "allow" and actions[f"attack-{n}"] == "reject" for n in range(8))
        assert set(server.started) <= set(server.children())


PURE_SCRIPT = """
import sys
sys.path.insert(1, {kemi!r})
import KSR
from sipsieve_kemi import PASS, Sipsieve


class Exchange({base}):
    def child_init(self, rank):
        {child_init}
        return 0

    def ksr_request_route(self, msg):
        if self.sipsieve_message(msg) == PASS:
            KSR.sl.sl_send_reply(202, "Host")
        return 1


def mod_init():
    return Exchange()
"""


def test_cfgengine_python(tmp_path: Path) -> None:
    """All routing in Python: the host asks from its routes, nothing runs in pre-routing."""
    port = free_port()
    (tmp_path / "host.py").write_text(
        PURE_SCRIPT.format(kemi=str(KEMI), base="Sipsieve", child_init="super().child_init(rank)")
    )
    config = tmp_path / "kamailio.cfg"
    config.write_text(
        f"""#!KAMAILIO
#!define SIPSIEVE_NO_PREROUTING
children=4
debug=2
log_stderror=yes
listen=udp:127.0.0.1:{port}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "app_python3.so"
modparam("app_python3", "load", "{tmp_path}/host.py")
{INCLUDE}
cfgengine "python"
"""
    )
    with host(tmp_path, config, port) as server:
        assert status(exchange(server, invite(call_id="pure"))) == 202
        assert server.record_of("pure")["event"]["action"] == "allow"
        refuses_attacks(server)
        reply = b"SIP/2.0 200 OK\r\n" + request("OPTIONS", call_id="pure-reply").split(b"\r\n", 1)[1]
        exchange(server, reply, source="127.7.0.2", seconds=0.2)
        assert server.record_of("pure-reply")["sip"]["type"] == "response"
        # One message, one record.
        wait_for(lambda: len(server.records()) >= 3, "records")
        assert len(server.records()) == 3


def test_cfgengine_python_without_a_script_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "kamailio.cfg"
    config.write_text(
        f"""#!KAMAILIO
#!define SIPSIEVE_NO_PREROUTING
children=2
debug=2
log_stderror=yes
listen=udp:127.0.0.1:{port}
{INCLUDE}
cfgengine "python"
"""
    )
    with host(tmp_path, config, port) as server:
        assert status(exchange(server, invite())) == 200
        refuses_attacks(server)


def test_a_host_with_its_own_event_routes(tmp_path: Path) -> None:
    port = free_port()
    defines = ("SIPSIEVE_NO_PREROUTING", "SIPSIEVE_NO_RECEIVED", "SIPSIEVE_NO_PARSE_ERROR", "SIPSIEVE_NO_HTABLE_INIT")
    config = tmp_path / "kamailio.cfg"
    config.write_text(
        "#!KAMAILIO\n"
        + "".join(f"#!define {name}\n" for name in defines)
        + f"""
children=2
debug=2
log_stderror=yes
listen=udp:127.0.0.1:{port}
{INCLUDE}
event_route[htable:mod-init] {{
	route(SIPSIEVE_START);
}}
event_route[core:msg-received] {{
	route(SIPSIEVE_RECEIVED);
	return 1;
}}
event_route[core:receive-parse-error] {{
	route(SIPSIEVE_UNPARSABLE);
}}
event_route[core:pre-routing] {{
	if ($ua == "host-drops-this") {{
		drop;
	}}
	route(SIPSIEVE);
}}
request_route {{
	sl_send_reply("202", "Host");
	exit;
}}
"""
    )
    with host(tmp_path, config, port, "[limits.other]\nper_minute = 5\n") as server:
        assert status(exchange(server, invite())) == 202
        refuses_attacks(server)
        assert exchange(server, request("OPTIONS", headers=("User-Agent: host-drops-this",)), seconds=0.2) is None
        exchange(server, b"no sip at all, but long enough for a hook", source="127.7.0.3", seconds=0.2)
        assert "parse-error" in server.record_from("127.7.0.3")["rule"]["id"]
        answers = [exchange(server, request("OPTIONS"), source="127.7.0.4", seconds=0.3) for _ in range(8)]
        assert [status(a) for a in answers[:5]] == [202] * 5
        assert {status(a) for a in answers[5:]} <= {503, 0}


def test_kamailios_own_user_with_debians_permissions(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Started by root, Kamailio becomes `kamailio`, which owns the log's folder and may read all else."""
    folder = Path(
        subprocess.run(
            ["mktemp", "-d", "/tmp/sipsieve-user-XXXXXX"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    try:
        folder.chmod(0o755)
        state = folder / "state"
        subprocess.run(
            [*sudo, "install", "-d", "-o", "kamailio", "-g", "kamailio", "-m", "0750", str(state)], check=True
        )
        # The checkout may stand in a home that others can't enter: copies, readable for all.
        packages = (
            folder / "venv" / "lib" / next((KEMI.parent / ".venv" / "lib").glob("python3.*")).name / "site-packages"
        )
        packages.mkdir(parents=True)
        site = next((KEMI.parent / ".venv" / "lib").glob("python3.*/site-packages"))
        subprocess.run(f"cp -r {site}/msgspec* {packages}", shell=True, check=True)  # noqa: S602
        shutil.copytree(KEMI, folder / "kemi", ignore=shutil.ignore_patterns("core", "__pycache__"))
        shutil.copy(KEMI.parent / "kamailio.cfg", folder)
        environment = {
            "SIPSIEVE_LOG": str(state / "decisions.jsonl"),
            "SIPSIEVE_RUN": str(state),
            "SIPSIEVE_VENV": str(folder / "venv"),
            "SIPSIEVE_PYTHON": str(folder / "kemi" / "sipsieve_kemi.py"),
        }
        server = Server(
            folder / "run",
            "",
            folder / "kamailio.cfg",
            environment=environment,
            arguments=("-u", "kamailio", "-g", "kamailio"),
        )
        (folder / "run").chmod(0o777)
        server.log = state / "decisions.jsonl"
        with server:
            assert status(exchange(server, invite(call_id="unprivileged"))) == 200
            server.record_of("unprivileged")
            refuses_attacks(server)
            server.assert_healthy()
            owners = {path.name: path.owner() for path in state.iterdir()}
            for name in ("decisions.jsonl", "decisions.jsonl.ledger"):
                assert owners[name] == "kamailio", owners
            assert re.search(r"Uid:\s+(?!0\s)", Path(f"/proc/{server.children()[0]}/status").read_text())
            assert "cannot be written" not in server.text()
            assert "ledger: no such file" not in server.text()
    finally:
        subprocess.run([*sudo, "rm", "-rf", str(folder)], check=True)


def test_final_answers_pass_where_the_host_relays(tmp_path: Path) -> None:
    """A call through Debian's configuration shows the callee's 200, not only a 100."""
    port = free_port()
    with host(tmp_path, stock(tmp_path, port), port) as server:
        assert status(final(server, invite(uri=f"sip:nobody@127.0.0.1:{port}"))) == 404
