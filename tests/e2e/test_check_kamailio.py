"""`sipsieve check --kamailio`: each complaint is one that the real Kamailio has, and its advice mends it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import KEMI, SITE, Server, exchange, free_port, invite, request, status
from sipsieve_analysis.operate.embedded_python import embedded
from sipsieve_analysis.operate.kamailio_check import Advice, check

GUARD = KEMI / "sipsieve.cfg"
STOCK = Path("/etc/kamailio/kamailio.cfg")
HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'

HOST = """#!KAMAILIO
#!trydefenv SIPSIEVE_LISTEN
debug=2
log_stderror=yes
listen=SIPSIEVE_LISTEN
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
#!ifndef NOT_DEFINED
loadmodule "htable.so"
#!endif
modparam("htable", "htable", "mine=>size=4;")
request_route {
	sl_send_reply("200", "OK");
	exit;
}
"""


def must(path: Path) -> list[Advice]:
    return [one for one in check(path, GUARD) if one.kind != "note"]


def insert(path: Path, line: int, text: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    lines.insert(line, text + "\n")
    path.write_text("".join(lines))


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SITE / "bin" / "sipsieve"), *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    path = tmp_path / "kamailio.cfg"
    path.write_text(HOST)
    return path


def works(path: Path) -> None:
    """The real Kamailio starts with this configuration, and the guard works in it."""
    with Server(path.parent / "run", config=path) as server:
        assert status(exchange(server, request())) == 200
        assert status(exchange(server, invite(from_=HOSTILE))) == 403


def test_the_line_to_add_stands_outside_of_every_condition(host: Path) -> None:
    (advice,) = must(host)
    assert (advice.kind, advice.line) == ("add", 11)
    assert advice.what.endswith(f'include_file "{GUARD}"')
    insert(host, advice.line, f'include_file "{GUARD}"')
    assert must(host) == []
    works(host)


def test_debians_own_configuration_is_advised_rightly(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    shutil.copy(STOCK, path)
    insert(path, 1, "#!define WITH_ANTIFLOOD\n#!trydefenv SIPSIEVE_LISTEN\nlisten=SIPSIEVE_LISTEN")
    path.write_text(path.read_text().replace("/run/kamailio", str(tmp_path)))
    (advice,) = must(path)
    insert(path, advice.line, f'include_file "{GUARD}"')
    assert must(path) == []
    done = subprocess.run(
        ["kamailio", "-c", "-f", str(path)], capture_output=True, text=True, timeout=60,
        env={**os.environ, "SIPSIEVE_LISTEN": "udp:127.0.0.1:5999"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_own_event_routes_collide_until_they_call_ours(host: Path) -> None:
    insert(host, 11, f'include_file "{GUARD}"')
    host.write_text(host.read_text() + "event_route[core:pre-routing] {\n\treturn 1;\n}\n")
    (advice,) = must(host)
    assert (advice.kind, advice.line) == ("collides", 18)
    assert "#!define SIPSIEVE_NO_PREROUTING" in advice.what
    with pytest.raises(AssertionError, match=r"(?i)kamailio ended"):
        Server(host.parent / "refused", config=host).start()

    insert(host, 11, "#!define SIPSIEVE_NO_PREROUTING")
    (advice,) = must(host)
    assert (advice.kind, advice.line) == ("add", 19)
    insert(host, 19, "\troute(SIPSIEVE);")
    assert must(host) == []
    works(host)


def test_a_module_loaded_after_the_include_collides(host: Path) -> None:
    insert(host, 6, f'include_file "{GUARD}"')
    advice = must(host)
    assert [(one.kind, one.line) for one in advice] == [("collides", 8), ("collides", 9), ("collides", 11)]
    with pytest.raises(AssertionError, match=r"(?i)kamailio ended"):
        Server(host.parent / "refused", config=host).start()


def test_an_own_python_script_must_inherit(host: Path) -> None:
    script = host.parent / "mine.py"
    script.write_text(
        "class Mine:\n    def child_init(self, rank):\n        return 0\ndef mod_init():\n    return Mine()\n"
    )
    insert(
        host, 11, f'loadmodule "app_python3.so"\nmodparam("app_python3", "load", "{script}")\ninclude_file "{GUARD}"'
    )
    (advice,) = must(host)
    assert (advice.kind, advice.line) == ("add", 13)
    assert "from sipsieve_kemi import Sipsieve" in advice.what
    refused = subprocess.run(
        ["kamailio", "-f", str(host), "-D", "-E", "-w", str(host.parent), "-Y", str(host.parent)],
        capture_output=True, text=True, timeout=60, cwd=host.parent,
        env={**os.environ, "SIPSIEVE_LISTEN": f"udp:127.0.0.1:{free_port()}"},
    )  # fmt: skip
    assert refused.returncode != 0
    assert "does not know sipsieve" in refused.stderr
    script.write_text(
        f"import sys\nsys.path.insert(1, {str(KEMI)!r})\nfrom sipsieve_kemi import Sipsieve\n"
        "class Mine(Sipsieve):\n    pass\ndef mod_init():\n    return Mine()\n"
    )
    assert must(host) == []
    works(host)


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("received_route_mode=0", "collides", "received_route_mode must be 1"),
        ('ipv6_hex_style="c"', "collides", "ipv6_hex_style must be a"),
        ('modparam("jsonrpcs", "transport", 1)', "collides", "write 3"),
        ("route[SIPSIEVE] {\n}", "collides", "rename it"),
        ("#!define SIPSIEVE_NO_RECEIVED", "collides", "remove it"),
    ],
)
def test_what_would_undo_the_guard_is_named(host: Path, line: str, kind: str, says: str) -> None:
    insert(host, 11, f'include_file "{GUARD}"')
    insert(host, 12, line)
    (advice,) = must(host)
    assert (advice.kind, advice.line) == (kind, 13)
    assert says in advice.what


def test_the_command_says_it_by_line_and_as_json(host: Path) -> None:
    done = command("check", "--kamailio", str(host))
    assert done.returncode == 1
    assert f'{host}:11: add: after this line, the last that loads a module: include_file "' in done.stderr
    insert(host, 11, f'include_file "{GUARD}"')
    done = command("check", "--kamailio", str(host), "--json")
    assert done.returncode == 0, done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["ok"] is True
    assert any("Kamailio embeds Python 3." in note for note in answer["kamailio"]["notes"])
    assert command("check", "--kamailio", str(host.parent / "none.cfg")).returncode == 1


def test_missing_packages_are_told_with_what_mends_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embedded().trouble == ""
    python = embedded().python
    (tmp_path / "kemi").mkdir()
    found = embedded(kemi=tmp_path / "kemi")
    assert f"embeds Python {python}" in found.trouble
    (tmp_path / f"python{python}" / "msgspec").mkdir(parents=True)
    (tmp_path / f"python{python}" / "msgspec" / "_core.cpython-32-x86_64-linux-gnu.so").write_bytes(b"")
    assert "has no msgspec for Python" in embedded(kemi=tmp_path / "kemi").trouble
    monkeypatch.setenv("SIPSIEVE_VENV", str(SITE))
    assert embedded(kemi=tmp_path / "kemi").trouble == ""
