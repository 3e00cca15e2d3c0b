"""`sipsieve audit --prove`: the messages that it fires at a scratch Kamailio do what it says, there and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONFIG = """#!KAMAILIO
listen=udp:203.0.113.5:5060
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "db_mysql.so"
loadmodule "sqlops.so"
loadmodule "exec.so"
modparam("sqlops", "sqlcon", "c=>mysql://kamailio:secret@db.example.com/kamailio")
request_route {
%s
 exit;
}
"""


def proofs(tmp_path: Path, body: str) -> dict[int, str]:
    """Line of the body → what the proof said."""
    path = tmp_path / "k.cfg"
    path.write_text(CONFIG % body)
    command = [sys.executable, "-m", "sipsieve_analysis.cli", "audit", str(path), "--prove", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode in {0, 1}, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    (report,) = answer["files"]
    return {finding["line"] - 10: finding["proof"] for finding in report["findings"] if finding["proof"]}


def test_what_is_found_is_shown_to_be_so(tmp_path: Path) -> None:
    body = """ if ($fU =~ "^[0-9]+$") { sql_query("c", "select name from subscriber where username='$fU'", "r"); }
 $var(q) = "select name from clients where x='" + $rU + "'";
 sql_query("c", "$var(q)", "r");
 sql_query("c", "insert into calls (a, b) values ('x', '$ci')", "r");
 sql_query("c", "update calls set a = '$(hdr(X-Account))'", "r");
 exec_cmd("/bin/true '$fn'");
 exec_cmd("/bin/true $ua");"""
    assert proofs(tmp_path, body) == dict.fromkeys((3, 4, 5, 6, 7), "confirmed")


def test_what_no_message_reaches_is_not_confirmed(tmp_path: Path) -> None:
    body = """ if ($hdr(X-Key) == "a secret of somebody's") { exec_cmd("/bin/true $tU"); }
 sql_query("c", "select * from accounts n where m.x = '$fU'", "r");"""
    said = proofs(tmp_path, body)
    assert said[1] == "not confirmed: no command was run behind any of the messages"
    assert said[2] == "not confirmed: it came to the database, which said: no such column: m.x"


def test_a_configuration_that_does_not_start_is_said(tmp_path: Path) -> None:
    said = proofs(tmp_path, ' no_such_function();\n exec_cmd("/bin/true $ua");')
    assert said[2].startswith("not confirmed: the scratch server did not start: "), said


@pytest.mark.parametrize("place", ["/var/lib", "/root", "/etc", "/usr/bin"])
def test_what_the_configuration_itself_would_do_is_not_done(tmp_path: Path, place: str) -> None:
    """Its commands run, in a machine that is read-only and as nobody."""
    mark = Path(place, "sipsieve-audit-proof")
    said = proofs(tmp_path, f' exec_cmd("touch {mark}");\n exec_cmd("/bin/true $ua");')
    assert said == {2: "confirmed"}
    assert not mark.exists()
