"""What a Kamailio configuration lacks or has wrong apart from any value's way: floods, sanity, relays, secrets, control."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .findings import Finding
from .source import Place, Text
from .tokens import Parts, Piece

_AUTH: Final = {
    "www_authorize", "proxy_authorize", "www_authenticate", "proxy_authenticate", "auth_check", "pv_www_authenticate",
    "pv_proxy_authenticate", "pv_auth_check", "pv_www_authorize", "pv_proxy_authorize", "radius_www_authorize",
    "ims_www_authenticate", "allow_source_address", "allow_address", "allow_trusted", "ds_is_from_list", "is_from_gw",
    "ds_is_active", "ip_is_trusted", "check_source_address", "check_address", "get_source_group", "allow_source_address_group", "lcr_from_gw", "from_gw",
}  # fmt: skip
_RELAYS: Final = {"t_relay", "t_relay_to", "t_relay_to_udp", "t_relay_to_tcp", "forward", "forward_udp", "t_relay_cell"}
#: They say where a message goes, by a text of the configuration's or by what its database has.
_ROUTING: Final = {
    "ds_select_dst", "ds_select_domain", "ds_select", "load_gws", "next_gw", "lookup", "lookup_contact", "registered", "do_routing", "cr_route", "lb_start", "load_balance",
    "pd_translate", "prefix2domain", "seturi", "rewriteuri", "sethost", "rewritehost", "sethostport", "rewritehostport",
    "sethostporttrans", "rewritehostporttrans",
}  # fmt: skip
_FLOOD_MODULES: Final = {"pike", "ratelimit", "pipelimit"}
_SECRET: Final = re.compile(r"://[^:/@\s]++:([^@/\s]++)@")
_LOOPBACK: Final = re.compile(r"127\.|localhost|\[::1\]|^unix|^/|^unixs:|^fifo")


def checks(parts: Parts, text: Text, main: Path) -> Iterator[Finding]:
    """Findings of a configuration with one set of defines."""
    calls = {piece.text for route in parts.routes for piece in route.pieces if piece.kind == "ID"}
    guarded = any(
        "sipsieve" in piece.text for route in parts.routes for piece in route.pieces if piece.kind == "STRING"
    )
    first = text.place(parts.routes[0].line) if parts.routes else Place(str(main), 1)
    if not parts.routes:
        return
    requests = [r for r in parts.routes if r.kind in {"request_route", "route"}]
    if requests and not guarded:
        ours = "include sipsieve.cfg, or " if parts.dialect == "kamailio" else ""
        check = 'load sanity and call sanity_check("1511", "7") first in request_route'
        if parts.dialect == "opensips":
            check = 'call sipmsg_validate("sh") first in route'
        if not (_FLOOD_MODULES & parts.modules.keys()) and "sht_inc" not in calls and "pike_check_req" not in calls:
            yield Finding(
                "no-flood-limit", "medium", first, "no limit on what a source may send",
                "one address can keep the server busy, or try passwords and numbers, as fast as it likes",
                advice=f"{ours}load pike and call pike_check_req() first in request_route", cwe=770,
            )  # fmt: skip
        if not {"sanity_check", "sipmsg_validate"} & calls:
            yield Finding(
                "no-sanity-check", "low", first, "no check of a message's form",
                "malformed messages reach what stands behind this server",
                advice=f"{ours}{check}", cwe=20,
            )  # fmt: skip
    relays = [
        piece
        for route in parts.routes
        for at, piece in enumerate(route.pieces)
        if piece.kind == "ID"
        and piece.text in _RELAYS
        and not _is_told(route.pieces, at)
        # Of a transaction that is under way: a CANCEL, an ACK.
        and all(before.text != "t_check_trans" for before in route.pieces[max(0, at - 6) : at])
    ]
    own = any(
        piece.kind == "ID" and piece.text in {"myself", "is_myself", "src_ip"}
        for r in parts.routes
        for piece in r.pieces
    )
    if relays and not (_AUTH & calls) and not own and not _reads(parts, "$si") and not _sent_on(parts):
        yield Finding(
            "open-relay", "high", text.place(relays[0].line), "relays for anybody",
            "no call of an authentication or address check, no comparison with the server's own domains or the source address",
            relays[0].text, advice="ask for credentials, or check the source address, before the message is relayed", cwe=287,
        )  # fmt: skip
    yield from _order(parts, text)
    yield from _media(parts, text)
    yield from _control(parts, text)
    yield from _secrets(parts, text)


def _reads(parts: Parts, name: str) -> bool:
    return any(piece.kind == "VARIABLE" and piece.text.startswith(name) for r in parts.routes for piece in r.pieces)


def _sent_on(parts: Parts) -> bool:
    """Whether the configuration itself says where messages go, by setting $du, or picks from a list."""
    for route in parts.routes:
        for piece, after in zip(route.pieces, route.pieces[1:], strict=False):
            if piece.kind == "VARIABLE" and piece.text in {"$du", "$rd"} and after.kind == "_EQUAL":
                return True
            if piece.kind == "ID" and piece.text in _ROUTING:
                return True
    return False


def _media(parts: Parts, text: Text) -> Iterator[Finding]:
    """rtpengine and rtpproxy that let the address of media be changed by whoever sends first."""
    for route in parts.routes:
        for at, piece in enumerate(route.pieces):
            if piece.kind == "ID" and piece.text in {"rtpengine_offer", "rtpengine_manage", "rtpengine_answer"}:
                flags = _argument(route.pieces, at)
                if flags is not None and "$" not in flags and "strict-source" not in flags:
                    yield Finding(
                        "media-source", "low", text.place(piece.line), "media from any address",
                        "without strict-source whoever sends to the port takes part in the call (RTP bleed)",
                        piece.text, advice="add strict-source to the flags, where phones don't change address in a call", cwe=346,
                    )  # fmt: skip


def _argument(tokens: list[Piece], at: int) -> str | None:
    """A function's first argument if it is a text; "" without arguments."""
    if at + 2 >= len(tokens) or tokens[at + 1].kind != "_LPAR":
        return None
    after = tokens[at + 2]
    return after.text if after.kind == "STRING" else "" if after.kind == "_RPAR" else None


def _is_told(tokens: list[Piece], at: int) -> bool:
    """Whether a relay goes to a host that is written behind it."""
    if at + 2 >= len(tokens) or tokens[at + 1].kind != "_LPAR":
        return False
    host = tokens[at + 2]
    return host.kind == "ADDRESS" or (host.kind == "STRING" and bool(host.text) and "$" not in host.text)


def _order(parts: Parts, text: Text) -> Iterator[Finding]:
    """A guard that is called only after something else was done with the message."""
    for route in parts.routes:
        if route.kind != "event_route" or route.name not in {"core:pre-routing", "core:msg-received"}:
            continue
        calls = [piece for piece in route.pieces if piece.kind in {"ID", "ROUTE"}]
        at = next((n for n, piece in enumerate(calls) if piece.kind == "ROUTE" and "SIPSIEVE" in piece.text), 0)
        if at > 0:
            yield Finding(
                "guard-not-first", "medium", text.place(calls[0].line), "something reads the message before sipsieve does",
                f"{calls[0].text} comes before {calls[at].text}", calls[0].text,
                advice=f"{calls[at].text}; as the first line of event_route[{route.name}]", cwe=696,
            )  # fmt: skip


def _control(parts: Parts, text: Text) -> Iterator[Finding]:
    """Control sockets that the network reaches."""
    for parameter in parts.parameters:
        if (parameter.module, parameter.name) in {("ctl", "binrpc"), ("jsonrpcs", "dgram_socket")}:
            address = parameter.value.partition(":")[2] or parameter.value
            if parameter.value.startswith(("tcp:", "udp:")) and not _LOOPBACK.search(address):
                yield Finding(
                    "control-open", "high", text.place(parameter.line), "commands to the server from the network",
                    f"{parameter.module} listens on {parameter.value} and asks nobody who they are",
                    advice="listen on 127.0.0.1 or a unix socket", cwe=306,
                )  # fmt: skip
    for route in parts.routes:
        if route.kind != "event_route" or not route.name.startswith("xhttp:"):
            continue
        names = [piece.text for piece in route.pieces if piece.kind in {"ID", "VARIABLE"}]
        asked = {"src_ip", "$si", "$sas", "$Rp", "$rcv", "allow_source_address"}
        for call in ("jsonrpc_dispatch", "xhttp_rpc_dispatch", "dispatch_rpc"):
            if call in names and not any(name.partition("(")[0] in asked for name in names):
                yield Finding(
                    "control-open", "medium", text.place(route.line), "commands to the server over HTTP",
                    "no comparison of the source address or port before commands are carried out",
                    call, advice="if ($si != \"127.0.0.1\") { xhttp_reply(\"403\", \"Forbidden\", \"\", \"\"); exit; }", cwe=306,
                )  # fmt: skip


def _secrets(parts: Parts, text: Text) -> Iterator[Finding]:
    """Passwords in files that others can read, and the one that everybody knows."""
    for parameter in parts.parameters:
        if not (found := _SECRET.search(parameter.value)):
            continue
        place = text.place(parameter.line)
        if found[1] in {"kamailiorw", "kamailioro", "openserrw", "opensipsrw"}:
            yield Finding(
                "default-password", "medium", place, "the database's password is the one of the documentation",
                "whoever reaches the database gets in", f"{parameter.module} {parameter.name}",
                advice="change it in the database and here", cwe=1392,
            )  # fmt: skip
        try:
            mode = Path(place.file).stat().st_mode
        except OSError:
            continue
        if mode & 0o004:
            yield Finding(
                "readable-secret", "low", place, "a password in a file that every user of the machine can read",
                f"its mode is {mode & 0o777:o}", f"{parameter.module} {parameter.name}",
                advice=f"chmod 640 {place.file}, owner root, group kamailio", cwe=732,
            )  # fmt: skip


def advisories(parts: Parts, version: str, entries: list[dict[str, object]], place: Place) -> Iterator[Finding]:
    """Known faults of the installed version in modules that are loaded; `version` as "5.6.3", "" if unknown."""
    here = numbers(version)
    if not here:
        return
    for entry in entries:
        module = str(entry["module"])
        fixed = sorted(numbers(str(one)) for one in entry["fixed"])  # type: ignore[attr-defined]
        if (module and module not in parts.modules) or here >= fixed[-1]:
            continue
        if any(one[:2] == here[:2] and here >= one for one in fixed):
            continue
        least = next((one for one in fixed if one[:2] == here[:2]), fixed[-1])
        yield Finding(
            str(entry["id"]), "high", place, f"Kamailio {version} has {entry['id']}", str(entry["what"]), module,
            advice=f"upgrade to {'.'.join(map(str, least))} or later", cwe=0,
        )  # fmt: skip


def numbers(version: str) -> tuple[int, ...]:
    """ "5.6.3" → (5, 6, 3)."""
    return tuple(int(one) for one in re.findall(r"\d+", version)[:3])
