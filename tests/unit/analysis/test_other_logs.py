"""Logs of other programs: what each tells, what a sender can't make it tell, and that no event counts twice.

The lines of fail2ban are as Debian's fail2ban 1.0.2 wrote them here; those of the others follow their documented forms
and sources (Asterisk's logger, chan_sip, res_pjsip and res_security_log; sofia_reg.c; Suricata's EVE; Zeek's SIP::Info;
HOMER's exports). Debian's own filters for Asterisk and FreeSWITCH must know the lines, too.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipsieve_analysis.analysis import analyze
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector, InputError
from sipsieve_analysis.readers.kinds import InputKind, kind_of
from sipsieve_analysis.readers.others import Others
from sipsieve_analysis.readers.told import Told
from sipsieve_analysis.report import Report

NEWEST = datetime(2026, 11, 22, tzinfo=UTC)
TEN = datetime(2026, 11, 16, 10, tzinfo=UTC).timestamp()
AT = "[2026-11-16 10:00:00] "
MESSAGE = (
    "INVITE sip:100@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.8:5060;branch=z9hG4bK1\r\nFrom: <sip:1@x>;tag=1\r\n"
    "To: <sip:100@192.0.2.10>\r\nCall-ID: c77\r\nCSeq: 1 INVITE\r\nUser-Agent: friendly-scanner\r\nContent-Length: {}\r\n\r\n{}"
)


def told(kind: InputKind, *lines: str, step: int = 0) -> tuple[list[Told], Counter[str], str | None]:
    """The messages in these lines, what was skipped, and the first line that was not understood."""
    text = "".join(f"{line}\n" for line in lines).encode()
    skipped: Counter[str] = Counter()
    reader = Others().reader(kind, UTC, NEWEST, skipped)
    pieces = [text[at : at + step] for at in range(0, len(text), step)] if step else [text]
    found: list[Told] = []
    for piece in pieces:
        found += reader.feed(piece)  # type: ignore[arg-type]
    found += reader.finish()  # type: ignore[arg-type]
    return found, skipped, reader.sample


def read(tmp_path: Path, **files: list[str] | str) -> tuple[Report, Collector]:
    """The report of files with these lines."""
    work = tmp_path / "work"
    work.mkdir(parents=True)
    store = Store(work)
    try:
        collector = Collector(store, work, UTC, year=2026)
        for name, lines in files.items():
            path = tmp_path / name
            path.write_text(lines if isinstance(lines, str) else "".join(f"{line}\n" for line in lines))
            collector.add(path)
        collector.finish()
        return analyze(store, collector.intake), collector
    finally:
        store.close()


def pjsip(number: int, reason: str = "Failed to authenticate", ip: str = "203.0.113.7") -> str:
    return (
        f"[2026-11-16 10:00:{number:02d}] NOTICE[1234] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from "
        f"'\"10{number % 3}\" <sip:10{number % 3}@192.0.2.10>' failed for '{ip}:5071' (callid: c{number}-77) - {reason}"
    )


def security(number: int, event: str = "ChallengeResponseFailed", ip: str = "203.0.113.7", account: str = "") -> str:
    return (
        f'[2026-11-16 10:00:{number:02d}] SECURITY[1230] res_security_log.c: SecurityEvent="{event}",'
        f'EventTV="2026-11-16T10:00:00.040+0000",Severity="Error",Service="PJSIP",EventVersion="1",'
        f'AccountID="{account or 100 + number % 3}",SessionID="c{number}-77",LocalAddress="IPV4/UDP/192.0.2.10/5060",'
        f'RemoteAddress="IPV4/UDP/{ip}/5071",Challenge="1/2",Response="3",ExpectedResponse=""'
    )


CHAN_SIP = "NOTICE[1234] chan_sip.c: Registration from '\"100\" <sip:100@192.0.2.10>' failed for '203.0.113.7:5071' - Wrong password"
FREESWITCH = (
    "2026-11-16 10:00:00.123456 [WARNING] sofia_reg.c:1842 SIP auth failure (REGISTER) on sofia profile 'internal' for "
    "[100@192.0.2.10] from ip 203.0.113.7"
)


@pytest.mark.parametrize(
    "header",
    [
        AT, "[Nov 16 10:00:00] ", "[2026-11-16 10:00:00.000] ", "[2026-11-16T10:00:00.000+0000] ",
        "[2026-11-16T11:00:00.000+0100] ", "Nov 16 10:00:00 pbx asterisk[812]: ", "<134>Nov 16 10:00:00 pbx asterisk[812]: ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", [0, 7])
def test_asterisk_headers(header: str, step: int) -> None:
    [found], skipped, sample = told(InputKind.ASTERISK, header + CHAN_SIP, step=step)
    assert (found.time, found.ip, found.port, found.method, found.answered) == (
        TEN,
        "203.0.113.7",
        5071,
        b"REGISTER",
        401,
    )
    assert any(name == "authorization" for name, _ in found.headers) and not skipped and sample is None


@pytest.mark.parametrize(
    ("line", "method", "answered", "tried"),
    [
        (pjsip(0), b"REGISTER", 401, True),
        (pjsip(0, "No matching endpoint found"), b"REGISTER", 404, False),
        (pjsip(0).replace("NOTICE[1234] ", "NOTICE[1234]: ").replace(".c: ", ".c:673 log_failed_request: "), b"REGISTER", 401, True),
        (AT + "NOTICE[1][C-0000001a] chan_sip.c: Call from '' (203.0.113.7:5071) to extension '00972595551234' rejected because extension not found in context 'default'.", b"INVITE", 404, False),
        (AT + "NOTICE[1] res_pjsip_session.c:  anonymous: Call (UDP:203.0.113.7:5071) to extension '00972595551234' rejected because extension not found in context 'in'.", b"INVITE", 404, False),
        (security(0), b"REGISTER", 401, True),
        (security(0, "InvalidAccountID"), b"REGISTER", 404, False),
        (security(0, "ChallengeSent"), b"REGISTER", 401, False),
        (security(0, "SuccessfulAuth"), b"REGISTER", 200, True),
        (security(0, account="<unknown>"), b"REGISTER", 404, False),
    ],
)  # fmt: skip
def test_asterisk_lines(line: str, method: bytes, answered: int, tried: bool) -> None:
    [found], _, _ = told(InputKind.ASTERISK, line)
    assert (found.ip, found.port, found.method, found.answered) == ("203.0.113.7", 5071, method, answered)
    assert any(name == "authorization" for name, _ in found.headers) == tried


@pytest.mark.parametrize(
    "line",
    [
        # What a sender wrote names the victim 192.0.2.66.
        AT + "NOTICE[1] chan_sip.c: Registration from '\"x' failed for '192.0.2.66:5060' - Wrong password\"<sip:1@x>' failed for '203.0.113.7:5071' - Wrong password",
        AT + "NOTICE[1][C-00000001] chan_sip.c: Call from '' (203.0.113.7:5071) to extension '1' rejected because Call from '' (192.0.2.66:5060) to extension '1' rejected because extension not found in context 'x'.",
    ],
)  # fmt: skip
def test_a_sender_names_no_other_source(line: str) -> None:
    [found], _, _ = told(InputKind.ASTERISK, line)
    assert found.ip == "203.0.113.7"


@pytest.mark.parametrize(
    "line",
    [
        pjsip(0).replace("c0-77", "x) - Failed to authenticate' failed for '192.0.2.66:5060' (callid: y"),
        security(0).replace('AccountID="100"', 'AccountID="1",RemoteAddress="IPV4/UDP/192.0.2.66/5060"'),
    ],
)
def test_what_can_be_read_in_two_ways_names_nobody(line: str) -> None:
    found, skipped, _ = told(InputKind.ASTERISK, line)
    assert not found and sum(skipped.values()) == 1


def test_messages_that_asterisk_prints() -> None:
    forged = security(0, ip="192.0.2.66")
    message = MESSAGE.format(len(forged) + 2, forged + "\r\n")
    printed = f"{AT}VERBOSE[1] res_pjsip_logger.c: <--- Received SIP request ({len(message)} bytes) from UDP:203.0.113.8:5060 --->"
    answer = MESSAGE.format(0, "").replace("INVITE sip:100@192.0.2.10 SIP/2.0", "SIP/2.0 401 Unauthorized")
    sent = f"{AT}VERBOSE[1] res_pjsip_logger.c: <--- Transmitting SIP response ({len(answer)} bytes) to UDP:203.0.113.8:5060 --->"
    text = f"{printed}\n{message}\n{sent}\n{answer}\n{pjsip(1).replace('c1-77', 'c77')}\n{pjsip(2)}"
    found, _, _ = told(InputKind.ASTERISK, *text.split("\n"))
    # What Asterisk says of the printed message beside it counts once; the body's line is nobody's.
    assert [(one.ip, one.message[:7] or one.method) for one in found] == [
        ("203.0.113.8", b"INVITE "), ("", b"SIP/2.0"), ("203.0.113.7", b"REGISTER"),
    ]  # fmt: skip
    assert found[0].message == message.encode()


def test_messages_that_chan_sip_prints() -> None:
    forged = security(0, ip="192.0.2.66")
    message = MESSAGE.format(len(forged) + 2, forged + "\r\n")
    text = f"{AT}VERBOSE[1] chan_sip.c: \n<--- SIP read from UDP:203.0.113.8:5060 --->\n{message}<------------->\n{AT}{CHAN_SIP}"
    found, _, _ = told(InputKind.ASTERISK, *text.replace("\r", "").split("\n"))
    assert [one.ip for one in found] == ["203.0.113.8", "203.0.113.7"]
    assert found[0].message.startswith(b"INVITE sip:100@192.0.2.10 SIP/2.0\r\nVia: ")


def test_freeswitch() -> None:
    uuid = "0a1b2c3d-0000-4000-8000-0123456789ab "
    found, skipped, sample = told(
        InputKind.FREESWITCH,
        FREESWITCH,
        "2026-11-16 10:00:01.123456 99.97% [WARNING] sofia_reg.c:2962 Can't find user [a] from ip 192.0.2.66@x] from 203.0.113.7",
        f"{uuid}2026-11-16 10:00:02.123456 99.97% [DEBUG] sofia.c:10279 sofia/external/1@x receiving invite from 203.0.113.9:5080 version: 1.10.9 64bit",
        f"{uuid}2026-11-16 10:00:02.223456 99.97% [INFO] mod_dialplan_xml.c:637 Processing 1 <1>->00972595551234 in context public",
        '2026-11-16 10:00:03.123456 99.97% [WARNING] sofia.c:2304 IP 203.0.113.10 Rejected by acl "domains"',
        "2026-11-16 10:00:04.123456 [NOTICE] switch_channel.c:1118 New Channel",
        "what",
    )
    assert [(one.ip, one.port, one.method, one.answered) for one in found] == [
        ("203.0.113.7", 0, b"REGISTER", 401), ("203.0.113.7", 0, b"REGISTER", 404), ("203.0.113.9", 5080, b"INVITE", 0),
        ("203.0.113.10", 0, b"INVITE", 403),
    ]  # fmt: skip
    assert found[2].uri == b"sip:00972595551234@accounted.invalid" and sample == "what"
    assert skipped["FreeSWITCH lines that tell of no message"] == 1


def test_freeswitch_siptrace() -> None:
    message = MESSAGE.format(0, "")
    trace = f"recv {len(message)} bytes from udp/[203.0.113.8]:5060 at 10:00:00.123456:"
    rule = "   " + "-" * 72
    lines = [trace, rule, *("   " + line for line in message.split("\r\n")), rule, FREESWITCH]
    found, _, _ = told(InputKind.FREESWITCH, "2026-11-16 10:00:00.123456 [NOTICE] sofia.c:1 x", *lines)
    assert [(one.ip, one.port, one.time) for one in found] == [("203.0.113.8", 5060, TEN + 0.123456)]
    assert found[0].message == message.encode()


FAIL2BAN = [
    "2026-11-28 12:22:34,474 fail2ban.server         [26140]: INFO    Starting Fail2ban v1.0.2",
    "2026-11-28 12:22:34,540 fail2ban.jail           [26140]: INFO    Jail 'asterisk' started",
    *["2026-11-28 12:22:34,743 fail2ban.filter         [26140]: INFO    [asterisk] Found 203.0.113.7 - 2026-11-16 10:00:00"] * 12,
    "2026-11-28 12:22:35,140 fail2ban.actions        [26140]: NOTICE  [asterisk] Ban 203.0.113.7",
    "2026-11-28 12:22:37,151 fail2ban.actions        [26140]: NOTICE  [asterisk] Unban 203.0.113.7",
    "2026-11-28 12:22:37,151 fail2ban.actions        [26140]: NOTICE  [sshd] Ban 192.0.2.66",
    "2026-11-28 12:22:37,953 fail2ban.server         [26140]: INFO    Exiting Fail2ban",
]  # fmt: skip


def test_fail2ban(tmp_path: Path) -> None:
    report, collector = read(tmp_path, log=FAIL2BAN)
    assert collector.intake.records == {"fail2ban log": 12}
    [actor] = report.actors
    # A ban is what the jail found, and adds no message.
    assert actor.addresses == ["203.0.113.7"] and actor.messages == 12 and actor.methods == {"REGISTER": 12}
    assert [str(campaign.type) for campaign in actor.campaigns] == ["brute_force"]
    assert any("no method, user or payload" in text for text in report.blind)


def eve(number: int, ip: str = "203.0.113.8", **more: object) -> str:
    entry = {
        "timestamp": f"2026-11-16T10:00:{number:02d}.123456+0000", "flow_id": number, "src_ip": ip, "src_port": 5060,
        "dest_ip": "192.0.2.10", "dest_port": 5060, "proto": "UDP", "app_proto": "sip", **more,
    }  # fmt: skip
    return json.dumps(entry)


def test_suricata() -> None:
    asked = {"method": "REGISTER", "uri": "sip:192.0.2.10", "version": "SIP/2.0"}
    answer = {"version": "SIP/2.0", "code": "403", "reason": "Forbidden"}
    alert = {"signature_id": 2011716, "signature": "ET SCAN Sipvicious User-Agent Detected (friendly-scanner)"}
    payload = base64.b64encode(MESSAGE.format(0, "").encode()).decode()
    found, skipped, _ = told(
        InputKind.SURICATA,
        eve(1, event_type="sip", sip=asked),
        eve(1, ip="192.0.2.10", event_type="sip", sip=answer),
        # An alert and the event of its message are one message.
        eve(2, event_type="alert", alert=alert, payload=payload),
        eve(2, event_type="sip", sip=asked),
        eve(3, event_type="alert", alert=alert),
        eve(4, event_type="dns"),
    )
    assert [(one.method, one.answered, one.foreign is not None, bool(one.message)) for one in found] == [
        (b"REGISTER", 403, False, False), (b"REGISTER", 0, True, True), (b"", 0, True, False),
    ]  # fmt: skip
    assert skipped == {"Suricata events that are not about SIP": 1}


ZEEK = [
    "#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tsip", "#open\t2026-11-16-10-00-00",
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\ttrans_depth\tmethod\turi\tdate\trequest_from\trequest_to\tresponse_from\t"
    "response_to\treply_to\tcall_id\tseq\tsubject\trequest_path\tresponse_path\tuser_agent\tstatus_code\tstatus_msg\twarning\t"
    "request_body_len\tresponse_body_len\tcontent_type",
    f"{TEN:.6f}\tC1\t203.0.113.7\t5071\t192.0.2.10\t5060\t0\tREGISTER\tsip:192.0.2.10\t-\t\\x22100\" <sip:100@192.0.2.10>\t<sip:100@192.0.2.10>\t-\t"
    "-\t-\tcid1\t7 REGISTER\t-\tSIP/2.0/UDP 203.0.113.7\t-\tfriendly-scanner\t401\tUnauthorized\t-\t0\t0\t-",
]  # fmt: skip


def test_zeek() -> None:
    fields = ZEEK[6].split("\t")[1:]
    values = ZEEK[7].replace("\\x22", '"').split("\t")
    entry = {name: value for name, value in zip(fields, values, strict=True) if value != "-"}
    entry.update(ts=TEN, **{"id.orig_p": 5071, "status_code": 401})  # type: ignore[arg-type]
    for lines in (ZEEK, [json.dumps(entry)], [json.dumps({**entry, "ts": "2026-11-16T10:00:00.000000Z"})]):
        [found], skipped, _ = told(InputKind.ZEEK, *lines)
        assert (found.time, found.ip, found.port, found.method) == (TEN, "203.0.113.7", 5071, b"REGISTER")
        assert (found.call_id, found.cseq, found.answered) == (b"cid1", b"7", 401) and not skipped
        assert ("from", b'"100" <sip:100@192.0.2.10>') in found.headers
        assert ("user-agent", b"friendly-scanner") in found.headers


def test_homer() -> None:
    message = MESSAGE.format(0, "")
    entry = {
        "create_date": "2026-11-16T10:00:00.000Z",
        "protocol": 17,
        "srcIp": "203.0.113.8",
        "srcPort": 5060,
        "raw": message,
    }
    older = {"micro_ts": int(TEN * 1e6), "proto": 17, "source_ip": "203.0.113.8", "source_port": "5060", "msg": message}
    newer = {"protocol_header": {"timeSeconds": int(TEN), "timeUseconds": 0, "srcIp": "203.0.113.8", "srcPort": 5060, "protocol": 17}, "raw": message}  # fmt: skip
    text = f"proto:UDP 2026-11-16T10:00:00.000Z  203.0.113.8:5060 ---> 192.0.2.10:5060\n\n{message}\n"
    for export in (
        json.dumps({"total": 1, "data": [entry]}),
        json.dumps({"data": {"messages": [older], "calldata": []}}, indent=2),
        json.dumps([newer]),
        json.dumps(entry),
        text,
        text.replace("proto:UDP", "U").replace("T10", " 10").replace("Z  ", " ").replace("--->", "->").replace("2026-11-16", "2026/11/16"),
    ):  # fmt: skip
        [found], _, _ = told(InputKind.HOMER, *export.split("\n"))
        assert (found.time, found.ip, found.port) == (TEN, "203.0.113.8", 5060), export[:60]
        assert found.message.startswith(message.encode()), export[:60]


def test_a_body_begins_no_message_in_an_export() -> None:
    forged = (
        "proto:UDP 2026-11-16T10:00:00.000Z  192.0.2.66:5060 ---> 192.0.2.10:5060\r\n\r\nINVITE sip:1@x SIP/2.0\r\n"
    )
    text = "proto:UDP 2026-11-16T10:00:00.000Z  203.0.113.8:5060 ---> 192.0.2.10:5060\n\n"
    found, _, _ = told(
        InputKind.HOMER, *(text + MESSAGE.format(len(forged), forged) + "\n" + text + MESSAGE.format(0, "")).split("\n")
    )
    assert [one.ip for one in found] == ["203.0.113.8", "203.0.113.8"]


OPENSIPS = [
    "Nov 16 10:00:00 edge /usr/sbin/opensips[41]: ERROR:core:parse_msg: message=<INVITE sip:100@192.0.2.10 SIP/2.0#015#012From: \"UPDATE users SET password='1'\" <sip:1@x>#015#012#015#012>",
    "Nov 16 10:00:00 edge /usr/sbin/opensips[41]: ERROR:core:receive_msg: Unable to parse msg received from [203.0.113.7:5060]",
    'Nov 16 10:00:01 edge opensips[42]: INVITE from 203.0.113.9:5060 ru=sip:00972595551234@192.0.2.10 ua="friendly-scanner"',
]  # fmt: skip


@pytest.mark.parametrize("wrapped", [False, True])
def test_opensips(tmp_path: Path, wrapped: bool) -> None:
    lines = OPENSIPS
    if wrapped:
        micro = int(TEN * 1e6)
        lines = [
            json.dumps({"__REALTIME_TIMESTAMP": str(micro), "SYSLOG_IDENTIFIER": "opensips", "_PID": "41", "MESSAGE": line.partition("]: ")[2].replace("#015#012", "\r\n")})
            for line in OPENSIPS
        ]  # fmt: skip
    report, _ = read(tmp_path, log=lines)
    assert {ip: actor.rank.tier for actor in report.actors for ip in actor.addresses} == {
        "203.0.113.7": "immediate", "203.0.113.9": "low",
    }  # fmt: skip


def test_kinds_are_told_by_content(tmp_path: Path) -> None:
    path = tmp_path / "log"
    docker = json.dumps({"log": AT + CHAN_SIP + "\n", "stream": "stdout", "time": "2026-11-16T10:00:00Z"})
    for text, kind in (
        (AT + CHAN_SIP, InputKind.ASTERISK), (security(0), InputKind.ASTERISK), (docker, InputKind.ASTERISK), (FREESWITCH, InputKind.FREESWITCH),
        ("\n".join(FAIL2BAN), InputKind.FAIL2BAN), (eve(1, event_type="sip", sip={}), InputKind.SURICATA), ("\n".join(ZEEK), InputKind.ZEEK),
        ("\n".join(OPENSIPS), InputKind.RAW), (json.dumps({"data": [{"srcIp": "192.0.2.1", "raw": MESSAGE}]}, indent=1), InputKind.HOMER),
    ):  # fmt: skip
        path.write_text(text + "\n")
        assert kind_of(path) is kind, text


def test_two_logs_of_one_program_count_once(tmp_path: Path) -> None:
    both, _ = read(tmp_path / "both", messages=[pjsip(n) for n in range(60)], security=[security(n) for n in range(60)])
    [actor] = both.actors
    assert actor.messages == 60 and actor.addresses == ["203.0.113.7"]
    assert [str(campaign.type) for campaign in actor.campaigns] == ["brute_force"]


def decision(number: int) -> str:
    return json.dumps(
        {
            "@timestamp": f"2026-11-16T10:00:{number % 60:02d}Z", "source": {"ip": "203.0.113.7", "port": 5071}, "network": {"transport": "udp"},
            "event": {"kind": "event", "action": "allow"}, "policy": {"enforced": True},
            "sip": {"type": "request", "method": "REGISTER", "call_id": f"c{number}-77", "cseq": "2", "to": f"sip:10{number % 3}@192.0.2.10"},
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        [pjsip(n) for n in range(60)],
        [security(n) for n in range(60)],
        [f"2026-11-16 10:00:{n:02d}.123456 {FREESWITCH.partition(' [')[2].join(['[', ''])}" for n in range(60)],
        [line.replace("10:00:00", f"10:00:{n:02d}") for n, line in enumerate(FAIL2BAN[2:3] * 60)],
        [*ZEEK[:7], *(ZEEK[7].replace("cid1", f"c{n}-77").replace("7 REGISTER", "2 REGISTER") for n in range(60))],
        [eve(n, ip="203.0.113.7", src_port=5071, event_type="sip", sip={"method": "REGISTER", "uri": "sip:x"}) for n in range(60)],
    ],
    ids=["asterisk", "security", "freeswitch", "fail2ban", "zeek", "suricata"],
)  # fmt: skip
def test_what_the_decision_log_tells_is_not_counted_again(tmp_path: Path, other: list[str]) -> None:
    report, collector = read(tmp_path, decisions=[decision(n) for n in range(60)], other=other)
    assert collector.intake.records.total() >= 120, "both were read"
    assert report.messages == 60


def test_what_can_be_read_in_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Asterisk"):
        read(tmp_path, log=["what is this", "and this"])


@pytest.mark.parametrize("kind", [InputKind.SURICATA, InputKind.ZEEK, InputKind.HOMER])
def test_deep_json_is_a_bad_line(kind: InputKind) -> None:
    deep = '{"event_type":"sip","raw":' + "[" * 50_000
    found, skipped, _ = told(kind, deep, "{}", '{"id.orig_h": [], "ts": {}, "method": 1, "src_ip": 7, "raw": {}}')
    assert not found and sum(skipped.values())


@pytest.mark.debian
@pytest.mark.parametrize(
    ("name", "line"),
    [("asterisk", AT + CHAN_SIP), ("asterisk", pjsip(0)), ("asterisk", security(0)), ("freeswitch", FREESWITCH)],
)
def test_debians_filters_know_these_lines(tmp_path: Path, name: str, line: str) -> None:
    log = tmp_path / "log"
    log.write_text(line + "\n")
    done = subprocess.run(
        ["fail2ban-regex", str(log), f"/etc/fail2ban/filter.d/{name}.conf"], capture_output=True, text=True, check=True
    )
    assert "1 matched" in done.stdout, done.stdout
