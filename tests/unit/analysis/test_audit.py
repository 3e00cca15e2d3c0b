"""The audit of configurations and scripts: each reader, each escape, each way; and configurations that are in order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif

from harness import ROOT
from sipsieve_analysis.audit.audit import audit
from sipsieve_analysis.audit.findings import Finding
from sipsieve_analysis.cli import main

HEAD = """#!KAMAILIO
loadmodule "sanity.so"
loadmodule "pike.so"
modparam("sqlops", "sqlcon", "my=>mysql://u:p@127.0.0.1/k")
modparam("sqlops", "sqlcon", "pg=>postgres://u:p@127.0.0.1/k")
modparam("sqlops", "sqlcon", "lite=>sqlite:///var/lib/k.db")
modparam("avpops", "db_url", "postgres://u:p@127.0.0.1/k")
"""
ROUTE = 'request_route {{\n pike_check_req(); sanity_check("1511", "7");\n {body}\n}}\n'

#: Statements, and the kinds of readers that a sender reaches by them, from the worst down; "" for none.
CASES = [
    # SQL: in quotes, without, in each dialect, with each escape.
    ("""sql_query("my", "select 1 from s where u='$fU'", "r");""", "sql"),
    ("""sql_query("my", "select 1 from s where u=$fU", "r");""", "sql"),
    ("""sql_query("my", "select 1 from s where u='$(fU{s.escape.common})'", "r");""", ""),
    ("""sql_query("my", "select 1 from s where u=$(fU{s.escape.common})", "r");""", "sql"),
    ("""sql_query("my", "select 1 from s where u=$(fU{sql.val.str})", "r");""", ""),
    ("""sql_query("my", "select 1 from s where u='$(fU{sql.val.str})'", "r");""", "sql"),
    ("""sql_query("my", "select 1 from s where id=$(fU{s.numeric})", "r");""", ""),
    # It leaves a text a quoted text: Kamailio 5.6.3.
    ("""sql_query("pg", "select 1 from s where id=$(fU{sql.val.int})", "r");""", "sql"),
    ("""sql_query("pg", "select 1 from s where u='$(fU{s.escape.common})'", "r");""", "sql"),
    ("""sql_query("lite", "select 1 from s where u='$(fU{s.escape.common})'", "r");""", "sql"),
    ("""sql_query("pg", "select 1 from s where u='$(fU{s.replace,','''})'", "r");""".replace("'''})'", "''})'"), ""),
    ("""sql_query("my", "select 1 from s where u='$(fU{s.replace,',''})'", "r");""", "sql"),
    ("""sql_query("lite", "select 1 from s where u='$(fU{s.md5})'", "r");""", ""),
    ("""sql_query("my", "select 1 from s where u='$(fU{s.escape.param})'", "r");""", "sql"),
    ("""sql_query("my", "select 1 from s where u='$(fU{s.urlencode.param})'", "r");""", ""),
    ("""sql_query("my", "insert into l values ('$ua')", "r");""", "sql"),
    ("""sql_xquery("my", "select '$tn'", "r");""", "sql"),
    ("""sql_pvquery("my", "select '$ci'", "$var(a)");""", "sql"),
    ("""sql_query("my", "insert into l values ('$rm')", "r");""", "sql"),
    ("""sql_query_async("my", "insert into l values ('$rU')");""", "sql"),
    ("""avp_db_query("select '$fn'");""", "sql"),
    ("""avp_db_query("select '$(hdr(X-Account))'");""", "sql"),
    ("""if (sql_query("my", "select '$au'", "r") > 0) { exit; }""", "sql"),
    # The source address is the kernel's word.
    ("""sql_query("my", "insert into l values ('$si', $sp)", "r");""", ""),
    # Ways: variables, concatenation, printing, other routes, loops, switches.
    ("""$var(q) = "select '" + $fU + "'"; sql_query("my", "$var(q)", "r");""", "sql"),
    ("""$var(u) = $fU; $avp(x) = $var(u); $var(q) = $_s(select '$avp(x)'); sql_query("my", "$var(q)", "r");""", "sql"),
    ("""pv_printf("$var(q)", "select '$fU'"); sql_query("my", "$var(q)", "r");""", "sql"),
    ("""$var(q) = "select '$fU'"; sql_query("my", "select 1", "r");""", ""),
    ("""$var(u) = $fU; $var(u) = "nobody"; sql_query("my", "select '$var(u)'", "r");""", ""),
    ("""$xavp(a=>u) = $fU; route(SUB); } route[SUB] { sql_query("my", "select '$xavp(a=>u)'", "r");""", "sql"),
    ("""$avp(u) = $ua; t_on_failure("F"); } failure_route[F] { sql_query("my", "select '$avp(u)'", "r");""", "sql"),
    ("""$sht(t=>u) = $ua; } event_route[htable:mod-init] { sql_query("my", "select '$sht(t=>u)'", "r");""", "sql"),
    ("""switch ($rU) { case "1": $var(x) = $ua; break; default: $var(x) = "n"; } exec_cmd("x $var(x)");""", "shell"),
    ("""while ($var(i) < 2) { $var(x) = $var(x) + $fU; $var(i) = $var(i) + 1; } exec_cmd("x $var(x)");""", "shell"),
    # What a comparison shows.
    ("""if ($fU =~ "^[0-9]+$") { sql_query("my", "select '$fU'", "r"); }""", ""),
    ("""if ($fU =~ "^[0-9]+") { sql_query("my", "select '$fU'", "r"); }""", "sql"),
    ("""if ($fU =~ "^.+$") { sql_query("my", "select '$fU'", "r"); }""", "sql"),
    ("""if ($fU !~ "^\\+?[0-9]{3,15}$") { exit; } exec_cmd("x $fU");""", ""),
    ("""if (!($fU =~ "^[a-z0-9_]+$")) { sl_send_reply("403", "No"); exit; } exec_cmd("x $fU");""", ""),
    ("""if ($fU !~ "^[0-9]+$") { xlog("odd\\n"); } exec_cmd("x $fU");""", "shell"),
    ("""if ($fU == "alice" || $fU == "bob") { exec_cmd("x $fU"); }""", ""),
    ("""if ($fU == "alice" || $rU == "bob") { exec_cmd("x $fU"); }""", "shell"),
    ("""if (!($tU =~ "^[0-9]{10}$") && !($tU =~ "^\\+1[0-9]{10}$")) { exit; } exec_cmd("x $tU");""", ""),
    ("""if (!($tU =~ "^[0-9]{10}$") && !($tU =~ "^\\+1.*$")) { exit; } exec_cmd("x $tU");""", "shell"),
    ("""if (!($tU =~ "^[0-9]{10}$") && !($fU =~ "^[0-9]{10}$")) { exit; } exec_cmd("x $tU");""", "shell"),
    ("""if ($fU == "alice") { exec_cmd("x $fU"); }""", ""),
    ("""if (is_numeric("$rU")) { exec_cmd("x $rU"); }""", ""),
    ("""route(CHECK); exec_cmd("x $fU"); } route[CHECK] { if ($fU !~ "^[0-9]+$") { exit; } return;""", ""),
    # Shells: no escape of Kamailio's fits.
    ("""exec_msg("logger $ua");""", "shell"),
    ("""exec_dset("/bin/x '$(fU{s.escape.common})'");""", "shell"),
    ("""exec_avp("/bin/x $(fU{s.escape.param})");""", "shell"),
    ("""exec_cmd("/bin/x $(fU{s.encode.hexa})");""", ""),
    ("""exec_cmd("/bin/x $(fU{s.encode.hexa}{s.decode.hexa})");""", "shell"),
    # Others.
    ("""lua_runstring("f('$ua')");""", "code"),
    ("""lua_run("f", "$ua");""", ""),
    ("""http_client_query("http://127.0.0.1/q?u=$fU", "$var(r)");""", "url"),
    ("""http_client_query("http://127.0.0.1/q?u=$(fU{s.urlencode.param})", "$var(r)");""", ""),
    ("""http_client_query("http://127.0.0.1/q", "{\\"u\\":\\"$fn\\"}", "", "$var(r)");""", "json"),
    ("""http_client_query("http://127.0.0.1/q", "$rb", "", "$var(r)");""", ""),
    ("""jansson_set("string", "u", "$fn", "$var(j)"); http_client_query("http://127.0.0.1/q", "$var(j)", "", "$var(r)");""", ""),
    ("""$http_req(body) = "{\\"u\\":\\"" + $fn + "\\"}"; http_async_query("http://127.0.0.1/", "R");""", "json"),
    ("""$http_req(body) = $rb; http_async_query("http://127.0.0.1/", "R");""", ""),
    ("""http_async_query("http://127.0.0.1/q?u=$fU", "R");""", "url"),
    ("""jsonrpc_exec('{"jsonrpc": "2.0", "method": "dispatcher.add", "params": [1, "$ct"], "id": 1}');""", "json"),
    ("""jsonrpc_exec('{"jsonrpc": "2.0", "method": "dispatcher.reload", "id": 1}');""", ""),
    ("""mq_add("q", "k", "$ua"); } route[TIMER] { while (mq_fetch("q")) { exec_cmd("x $mqv(q)"); }""", "shell"),
    ("""mq_add("q", "$ua", "v"); } route[TIMER] { while (mq_fetch("q")) { exec_cmd("x $mqv(q)"); }""", ""),
    ("""mongodb_find("s", "kamailio", "u", "{\\"u\\":\\"$fU\\"}", "r");""", "json"),
    ("""rabbitmq_publish("x", "k", "application/json", "{\\"u\\":\\"$ua\\"}");""", "json"),
    ("""file_out("f", "$ua");""", "file"),
    ("""app_jsdt_runstring("f('$ua')");""", "code"),
    ("""$fs = "udp:" + $hdr(X-Via) + ":5060";""", "socket"),
    ("""redis_cmd("s", "GET user:$fU", "r");""", "redis"),
    ("""redis_cmd("s", "GET %s", "$fU", "r");""", ""),
    ("""ldap_search("ldap://d/dc=x?uid?sub?(uid=$fU)");""", "ldap"),
    ("""append_hf("X-Name: $(fn{s.unescape.user})\\r\\n");""", "header"),
    ("""route("$hdr(X-Next)");""", "route"),
]  # fmt: skip


def found(tmp_path: Path, text: str, name: str = "k.cfg") -> list[Finding]:
    path = tmp_path / name
    path.write_text(text)
    os.chmod(path, 0o600)
    report = audit(path)
    assert report.unread == []
    return [finding for finding in report.findings if finding.severity != "note"]


@pytest.mark.parametrize(("body", "kind"), CASES, ids=range(len(CASES)))
def test_what_reaches_a_reader_is_found_and_nothing_else(tmp_path: Path, body: str, kind: str) -> None:
    findings = found(tmp_path, HEAD + ROUTE.format(body=body))
    assert [finding.kind for finding in findings] == ([kind] if kind else [])
    for finding in findings:
        assert finding.steps and " sip:" in finding.message.split("\r\n")[0]
        assert finding.corrected or finding.advice


def test_the_way_is_told_step_by_step_with_the_corrected_line(tmp_path: Path) -> None:
    body = "$var(u) = $fU;\n route(SAVE);\n}\nroute[SAVE] {\n" + """ sql_query("pg", "select '$var(u)'", "r");"""
    (finding,) = found(tmp_path, HEAD + ROUTE.format(body=body))
    assert [(step.place.line, step.text) for step in finding.steps] == [
        (10, "reads $fU"),
        (10, "into $var(u)"),
        (14, "sql_query(…)"),
    ]
    assert finding.corrected == "$var(u) = $(fU{s.replace,',''});"
    assert "From: <sip:x'/**/OR/**/'1'='1@example.com>" in finding.message


def test_the_corrected_line_is_in_order(tmp_path: Path) -> None:
    """Whatever line is proposed, audited in its place it has no finding."""
    for body, kind in CASES:
        for finding in found(tmp_path, HEAD + ROUTE.format(body=body)):
            if not finding.corrected or kind in {"redis", "json"} or "{s.escape" in finding.variable:
                continue
            lines = (HEAD + ROUTE.format(body=body)).splitlines()
            lines[finding.steps[0].place.line - 1] = finding.corrected
            assert found(tmp_path, "\n".join(lines)) == [], finding.corrected


def test_both_sides_of_every_ifdef_are_read(tmp_path: Path) -> None:
    body = "#!ifdef WITH_LOG\n exec_cmd(\"x $ua\");\n#!else\n exec_cmd(\"y $fU\");\n#!endif"  # fmt: skip
    findings = found(tmp_path, HEAD + ROUTE.format(body=body))
    assert {(f.variable, f.variant) for f in findings} == {("$fU", ""), ("$ua", "with WITH_LOG defined")}


def test_includes_and_defines_are_obeyed(tmp_path: Path) -> None:
    (tmp_path / "more.cfg").write_text('route[MORE] {\n exec_cmd("COMMAND $ua");\n}\n')
    path = tmp_path / "k.cfg"
    path.write_text(
        HEAD
        + '#!define CALLER $fU\ninclude_file "more.cfg"\n'
        + ROUTE.format(body='route(MORE); $var(a) = CALLER; exec_cmd("x $var(a)");')
    )
    findings = [f for f in audit(path).findings if f.kind == "shell"]
    assert {(Path(f.place.file).name, f.place.line, f.variable) for f in findings} == {
        ("more.cfg", 2, "$ua"),
        ("k.cfg", 12, "$fU"),
    }


def test_what_can_not_be_read_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "k.cfg"
    path.write_text(HEAD + 'include_file "gone.cfg"\n' + ROUTE.format(body="if (( { }"))
    said = {(place.line, what) for place, what in audit(path).unread}
    assert (8, f"{tmp_path}/gone.cfg is included, and not there") in said
    assert any(line in {11, 12} for line, _ in said), said


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ('request_route { t_relay(); }', {"no-flood-limit", "no-sanity-check", "open-relay"}),
        ('loadmodule "pike.so"\nrequest_route { sanity_check("1511", "7"); if (!is_myself("$fu")) { exit; } t_relay(); }', set()),
        ('loadmodule "pike.so"\nrequest_route { sanity_check("1511", "7"); $du = "sip:127.0.0.1:5080"; t_relay(); }', set()),
        ('loadmodule "pike.so"\nrequest_route { sanity_check("1511", "7"); seturi("sip:a@b"); t_relay(); }', set()),
        ('loadmodule "pike.so"\nrequest_route { sanity_check("1511", "7"); t_relay_to_udp("127.0.0.1", "5080"); }', set()),
        ('loadmodule "pike.so"\nrequest_route { sanity_check("1511", "7"); t_relay("udp:h:5080"); }', set()),
        ('loadmodule "pike.so"\nrequest_route { sanity_check("1511", "7"); forward(127.0.0.1, 9); }', set()),
        ('loadmodule "pike.so"\nrequest_route { sanity_check("1511", "7"); if (t_check_trans()) { t_relay(); } }', set()),
        ('loadmodule "pike.so"\nrequest_route { sanity_check("1511", "7"); forward(uri:host, uri:port); }', {"open-relay"}),
        ('event_route[core:pre-routing] { route(SIPSIEVE); xlog("x"); }\nrequest_route { exit; }', {"no-flood-limit", "no-sanity-check"}),
        (
            'event_route[core:pre-routing] { xlog("x"); route(SIPSIEVE); }\nrequest_route { exit; }',
            {"no-flood-limit", "no-sanity-check", "guard-not-first"},
        ),
        ('modparam("ctl", "binrpc", "tcp:0.0.0.0:2049")\nloadmodule "pike.so"\nrequest_route { sanity_check(); }', {"control-open"}),
        ('modparam("ctl", "binrpc", "tcp:127.0.0.1:2049")\nloadmodule "pike.so"\nrequest_route { sanity_check(); }', set()),
        ('loadmodule "pike.so"\nrequest_route { sanity_check(); }\nevent_route[xhttp:request] { jsonrpc_dispatch(); }', {"control-open"}),
        (
            'loadmodule "pike.so"\nrequest_route { sanity_check(); }\n'
            'event_route[xhttp:request] { if ($si == "127.0.0.1") { jsonrpc_dispatch(); } }',
            set(),
        ),
        ('loadmodule "pike.so"\nrequest_route { sanity_check(); rtpengine_offer("replace-origin"); }', {"media-source"}),
        ('loadmodule "pike.so"\nrequest_route { sanity_check(); rtpengine_offer("strict-source"); }', set()),
        (
            'modparam("auth_db", "db_url", "mysql://kamailio:kamailiorw@localhost/k")\nloadmodule "pike.so"\n'
            "request_route { sanity_check(); }",
            {"default-password"},
        ),
    ],
)  # fmt: skip
def test_what_is_missing_or_open_is_said(tmp_path: Path, text: str, rules: set[str]) -> None:
    assert {finding.rule for finding in found(tmp_path, text)} == rules


def test_a_password_that_all_can_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "k.cfg"
    path.write_text(HEAD + ROUTE.format(body="exit;"))
    os.chmod(path, 0o644)
    assert {finding.rule for finding in audit(path).findings} == {"readable-secret"}


@pytest.mark.parametrize(
    ("version", "there"), [("5.1.1", True), ("5.1.4", False), ("5.6.3", False), ("4.4.6", True), ("", False)]
)
def test_known_faults_are_those_of_the_version(tmp_path: Path, version: str, there: bool) -> None:
    path = tmp_path / "k.cfg"
    path.write_text('loadmodule "tmx.so"\nrequest_route { exit; }\n')
    assert ("CVE-2018-8828" in {finding.rule for finding in audit(path, version).findings}) == there


OPENSIPS = """socket=udp:127.0.0.1:5060
loadmodule "proto_udp.so"
loadmodule "pike.so"
modparam("avpops", "db_url", "1 postgres://u:p@127.0.0.1/o")
startup_route {{ avp_db_query("select 1", "$avp(x)"); }}
timer_route[gw, 30] {{ avp_db_query("select 2", "$avp(x)"); }}
route {{
 if (!sipmsg_validate("sh", $var(err), $var(msg))) {{ drop; }}
 if ($rU == NULL) {{ send_reply(484, "Address Incomplete"); exit; }}
 {body}
}}
"""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("""avp_db_query("select '$fU'", "$avp(x)");""", "sql"),
        ("""avp_db_query("select '$(fU{re.subst,/'/''/g})'", "$avp(x)");""", ""),
        ("""sql_query("select '$ua'", "$avp(x)");""", "sql"),
        ("""exec("/bin/x $fU");""", "shell"),
        ("""$avp(n) := $tU; exec("/bin/x $avp(n)");""", "shell"),
        ("""$var(n) = "x"; $var(n) += $tU; exec("/bin/x $var(n)");""", "shell"),
        ("""for ($var(x) in $(hdr(X-A)[*])) { exec("/bin/x $var(x)"); }""", "shell"),
        ("""route(sub, $tU, "b"); } route[sub] { exec("/bin/x $param(1)");""", "shell"),
        ("""route(sub, "b", $tU); } route[sub] { exec("/bin/x $param(1)");""", ""),
        ("""async(exec("/bin/x $ua", , $avp(o)), done); } route[done] { exec("/bin/y");""", "shell"),
        ("""$avp(u) = $ua; async(rest_get("http://127.0.0.1/", $var(b)), done); } route[done] { exec("/bin/x $avp(u)");""", "shell"),
        ("""rest_get("http://127.0.0.1/q?u=$fU", $var(b));""", "url"),
        ("""rest_get("http://127.0.0.1/q?u=$(fU{s.escape.param})", $var(b));""", ""),
        ("""rest_post("http://127.0.0.1/q", "{\\"u\\":\\"$fn\\"}", "application/json", $var(b));""", "json"),
        ("""cache_raw_query("redis", "GET u:$fU", "$avp(r)");""", "redis"),
        ("""t_relay(, "no-auto-477");""", "open-relay"),
        ("""if (!check_source_address(1)) { exit; } t_relay();""", ""),
    ],
)  # fmt: skip
def test_configurations_of_opensips_are_read_too(tmp_path: Path, body: str, kind: str) -> None:
    text = OPENSIPS.format(body=body)
    findings = found(tmp_path, text)
    assert [finding.kind or finding.rule for finding in findings] == ([kind] if kind else [])
    for finding in findings:
        if finding.corrected and "redis" not in kind and "json" not in kind:
            lines = text.splitlines()
            lines[finding.steps[0].place.line - 1] = finding.corrected
            assert found(tmp_path, "\n".join(lines)) == [], finding.corrected


SCRIPT = '''import os, re, shlex, json
import KSR
class kamailio:
    def ksr_request_route(self, msg):
{body}
    def dial(self, number):
        KSR.exec.exec_cmd("/bin/dial %s" % number)
'''  # fmt: skip


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("KSR.sqlops.sql_query('c', \"select '\" + KSR.pv.get('$fU') + \"'\", 'r')", "sql"),
        ("KSR.sqlops.sql_query('c', f\"select {int(KSR.pv.get('$fU'))}\", 'r')", ""),
        ("os.system('logger {}'.format(KSR.hdr.get('User-Agent')))", "shell"),
        ("os.system('logger ' + shlex.quote(KSR.hdr.get('User-Agent')))", ""),
        ("os.system(\"logger '\" + shlex.quote(KSR.hdr.get('User-Agent')) + \"'\")", "shell"),
        ("self.dial(KSR.kx.get_ruser())", "shell"),
        ("u = KSR.kx.get_fuser()\n        if u.isdigit():\n            self.dial(u)", ""),
        ("u = KSR.kx.get_fuser()\n        if not u.isdigit():\n            return 1\n        self.dial(u)", ""),
        (
            "u = KSR.kx.get_fuser()\n        if not re.fullmatch('[0-9]+', u):\n            return 1\n        self.dial(u)",
            "",
        ),
        ("self.db.execute('select ?', (KSR.pv.get('$fU'),))", ""),
        ("self.db.execute('select ' + KSR.pv.get('$fU'))", "sql"),
        ("self.name = KSR.pv.get('$fn')\n        eval(self.name)", "code"),
        ("KSR.x.modf('exec_cmd', 'x ' + KSR.pv.get('$ua'))", "shell"),
        ("KSR.pv.sets('$var(q)', KSR.pv.get('$ua'))\n        os.popen(KSR.pv.get('$var(q)'))", "shell"),
        ("os.system('date')", ""),
    ],
)
def test_scripts_are_followed_too(tmp_path: Path, body: str, kind: str) -> None:
    findings = found(tmp_path, SCRIPT.format(body=f"        {body}"), "k.py")
    assert {finding.kind for finding in findings} == ({kind} if kind else set())


def test_our_own_files_are_in_order() -> None:
    for path in (ROOT / "kamailio.cfg", ROOT / "kemi/sipsieve_kemi.py"):
        report = audit(path)
        assert [f for f in report.findings if f.severity in {"high", "medium"}] == []
        assert report.unread == []


#: Where Debian puts what Kamailio ships, and what of it is rightly alarming, judged by hand: scripts from the time before
#: anybody asked who may use a relay, and queries that hold a method or a User-Agent.
SHIPPED = Path("/usr/share/doc/kamailio/examples")
ALARMS = {
    ("acc.cfg", "open-relay"),
    ("ccdiversion.cfg", "open-relay"),
    ("mobile66.cfg", "open-relay"),
    ("use_jabs.cfg", "open-relay"),
    ("sipcapture.cfg", "sql-quoted"),
}


@pytest.mark.debian
def test_what_kamailio_ships_has_no_false_alarm() -> None:
    paths = [path for path in SHIPPED.rglob("*.cfg") if path.name != "tls.cfg"]
    assert len(paths) > 40
    assert [f.rule for f in audit(Path("/etc/kamailio/kamailio.cfg")).findings if f.severity == "high"] == []
    high = {(path.name, f.rule) for path in paths for f in audit(path).findings if f.severity == "high"}
    assert ("sipcapture.cfg", "sql-quoted") in high and high <= ALARMS


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, arguments), "--kamailio-version", ""])


def test_the_command_says_by_its_code_what_it_found(tmp_path: Path) -> None:
    path = tmp_path / "k.cfg"
    path.write_text(HEAD + ROUTE.format(body='exec_cmd("x $ua");'))
    os.chmod(path, 0o600)
    assert run(path).exit_code == 1
    assert "k.cfg:10: high: command injection [shell-bare]" in run(path).output
    path.write_text(HEAD + ROUTE.format(body='redis_cmd("s", "GET user:$fU", "r");'))
    assert run(path).exit_code == 0
    assert run(path, "--fail-on", "medium").exit_code == 1
    assert run(tmp_path / "gone.cfg").exit_code == 2


def test_json_and_sarif_hold_what_they_promise(tmp_path: Path) -> None:
    path, sarif = tmp_path / "k.cfg", tmp_path / "out.sarif"
    path.write_text(
        HEAD + ROUTE.format(body='exec_cmd("x $ua"); redis_cmd("s", "GET user:$fU", "r"); file_out("f", "$ua");')
    )
    schema = json.loads((ROOT / "docs/audit.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads(run(path, "--json", "--sarif", sarif).output))
    written = json.loads(sarif.read_text())
    # Classes made of the standard's own schema, which know no other members.
    Sarif.model_validate(written)
    (run_,) = written["runs"]
    worst = run_["results"][0]
    assert (worst["ruleId"], worst["level"]) == ("shell-bare", "error")
    assert worst["locations"][0]["physicalLocation"]["region"]["startLine"] == 10
    assert {rule["id"] for rule in run_["tool"]["driver"]["rules"]} == {result["ruleId"] for result in run_["results"]}
    assert len(worst["codeFlows"][0]["threadFlows"][0]["locations"]) == len(["reads", "exec_cmd"])


def test_a_hostile_file_is_read_in_bounded_time(tmp_path: Path) -> None:
    for text in (
        "(" * 20000,
        '"' * 20001,
        "$(" * 20000,
        "route[a] { " * 5000,
        "if (1) { " * 300 + "}" * 300,
        "$var(x) = " * 5000,
    ):
        path = tmp_path / "k.cfg"
        path.write_text(f"request_route {{ {text} }}\n")
        audit(path)


def test_a_million_ways_are_cut_and_said(tmp_path: Path) -> None:
    routes = "".join(f"route[R{n}] {{ route(R{n + 1}); route(R{n + 1}); }}\n" for n in range(24))
    path = tmp_path / "k.cfg"
    path.write_text("request_route { route(R0); }\n" + routes)
    assert any("not walked" in what for _, what in audit(path).unread)


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("select a from b where c='$rU'", set()),
        ("select a from b where c=$rU", {"sql"}),
    ],
    ids=["quoted", "bare"],
)
def test_marks_of_a_keypad_are_text_between_quotes_only(tmp_path: Path, query: str, kinds: set[str]) -> None:
    """Feature codes such as *98 are allowed by many dial plans before they look a user up."""
    path = tmp_path / "k.cfg"
    path.write_text(
        'loadmodule "sqlops.so"\nmodparam("sqlops", "sqlcon", "ca=>postgres://a/b")\n'
        f'request_route {{\n  if ($rU =~ "^[0-9*#]+$") {{\n    sql_query("ca", "{query}", "ra");\n  }}\n}}\n'
    )
    assert {finding.kind for finding in audit(path).findings if finding.kind == "sql"} == kinds
