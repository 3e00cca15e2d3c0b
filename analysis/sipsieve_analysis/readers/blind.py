"""What each kind of input can't show, in the words of the report."""

from __future__ import annotations

from typing import Final

from .kinds import InputKind

#: By kind, in the order in which it is said.
BLIND: Final = {
    InputKind.RAW: (
        "A raw Kamailio log shows only what went wrong. Well-formed requests leave no line, so volumes are lower "
        "bounds, and a well-formed attack is invisible in it.",
        "Of most malformed messages it prints the broken header alone: User-Agent, targets, Content-Length and body are "
        "known only where Kamailio printed the whole message.",
        "Where no line names the source (\u201crequired headers not found\u201d) the message can't be given to anyone.",
    ),
    InputKind.PCAP: (
        "A capture shows no decision: what the guard would have done is computed from its default rules and policy.",
        "SIP over TLS in a capture can't be read.",
    ),
    InputKind.ASTERISK: (
        "Asterisk's log shows refused requests and security events, no payload and no User-Agent, unless it prints whole "
        "messages (pjsip set logger on).",
        "Its security log names no method: what it tells of is taken as registrations.",
        "Behind a proxy every request comes from the proxy: name it by --known, as a site, so that it is not taken for the attacker.",
        "Messages that Asterisk drops unread, and \u201cfailed to authenticate device\u201d, name no source.",
    ),
    InputKind.FREESWITCH: (
        "FreeSWITCH's log shows refused logins without port, Call-ID and User-Agent, and calls by number; payloads only "
        "where siptrace is on.",
        "Logins that succeed leave no line in it, so who got in can't be told.",
    ),
    InputKind.FAIL2BAN: (
        "fail2ban's log names addresses and jails alone: no method, user or payload. What it found is taken as failed registrations.",
    ),
    InputKind.SURICATA: (
        "Suricata's SIP events name method and request URI: no user, Call-ID, User-Agent or body, so password guessing "
        "can't be told from asking for users. Alerts show the message only where eve-log writes payloads.",
    ),
    InputKind.ZEEK: (
        "Zeek's sip.log has the headers of each request and one answer to it: no body, no Contact, no credentials.",
    ),
    InputKind.HOMER: (
        "An export of HOMER holds what was searched for; what the capture agents filtered out is missing. It shows no "
        "decision: what the guard would have done is computed.",
    ),
    InputKind.DECISIONS: (),
}  # fmt: skip
