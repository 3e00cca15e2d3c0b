//! Checks framing and header set: what makes a message unreadable, ambiguous, or merely odd.

use std::borrow::Cow;

use crate::sip::grammar;
use crate::sip::names;
use crate::sip::{Defect, Kind, Message};

pub const FAMILY: &str = "structure";

/// Bytes of a value that a defect shows.
const MAX_EXCERPT: usize = 256;

/// One structural rule: its score (5 and more rejects on its own; 0 is only logged) and why.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    pub id: &'static str,
    pub score: u8,
    pub why: &'static str,
}

const fn check_of(id: &'static str, score: u8, why: &'static str) -> Check {
    Check { id, score, why }
}

/// Every structural rule.
pub static CHECKS: &[Check] = &[
    check_of(
        "first-line",
        5,
        "RFC 3261 7.1, 7.2: the first line says what a message is",
    ),
    check_of(
        "header-unfinished",
        5,
        "RFC 3261 7.5: an empty line ends the header section",
    ),
    check_of(
        "header-colon",
        5,
        "RFC 3261 7.3.1; Kamailio then no longer finds the headers before it either",
    ),
    check_of(
        "header-name",
        5,
        "RFC 3261 25.1: a header name is a token; others are read differently by each parser",
    ),
    check_of("header-count", 5, "far more header fields than any client sends"),
    check_of(
        "header-missing",
        5,
        "RFC 3261 8.1.1: Via, From, To, Call-ID and CSeq are mandatory",
    ),
    check_of(
        "header-twice",
        5,
        "RFC 3261 7.3.1: may be there only once; two parsers may take one each",
    ),
    check_of("from-format", 5, "RFC 3261 20.20: not a name-addr or addr-spec"),
    check_of("to-format", 5, "RFC 3261 20.39: not a name-addr or addr-spec"),
    check_of("via-format", 5, "RFC 3261 20.42: not SIP/2.0/transport and a host"),
    check_of("cseq-format", 5, "RFC 3261 20.16: not a number and a method"),
    check_of(
        "cseq-method",
        5,
        "RFC 3261 8.1.1.5: the CSeq's method is not the request's",
    ),
    check_of("content-length-format", 5, "RFC 3261 20.14: not a number"),
    check_of(
        "content-length-conflict",
        5,
        "two Content-Length values: request smuggling",
    ),
    check_of(
        "content-length-beyond",
        5,
        "RFC 3261 18.3: the datagram ends before the body does",
    ),
    check_of(
        "content-length-short",
        0,
        "RFC 3261 18.3: bytes after the body are to be discarded",
    ),
    check_of("content-length-twice", 0, "the same Content-Length twice"),
    check_of("parse-error", 5, "the server itself could not read the message"),
    check_of("version", 5, "RFC 3261 21.5.6: not SIP/2.0"),
    check_of(
        "value-overlong",
        5,
        "longer than any client sends, and not plain text: made to wear out a parser or a filter",
    ),
    check_of("host-format", 5, "RFC 3261 25.1: a host is a name or an address"),
    check_of("port-format", 5, "RFC 3261 25.1: a port is a number"),
    check_of(
        "user-format",
        5,
        "RFC 3261 25.1: such bytes stand in a user or password escaped only",
    ),
    check_of(
        "user-command",
        5,
        "CWE-78: what a shell takes for a command of its own, where a user or password stands",
    ),
    check_of(
        "parameter-command",
        5,
        "CWE-78: the same in a parameter of a URI, once its escapes are undone",
    ),
    check_of(
        "session-command",
        5,
        "CWE-78: the same in a URI, key, origin or attribute of a session description",
    ),
    check_of("method-format", 5, "RFC 3261 25.1: a method is a token"),
    check_of("tag-format", 5, "RFC 3261 25.1: a tag is a token"),
    check_of("branch-format", 5, "RFC 3261 25.1: a branch is a token"),
    check_of("call-id-format", 5, "RFC 3261 25.1: a Call-ID is one or two words"),
    check_of(
        "protocol-format",
        5,
        "RFC 3261 25.1: a Via begins with SIP, a version and a transport",
    ),
    check_of(
        "parameter-format",
        5,
        "RFC 3261 25.1: a parameter is a name with a token, host or quoted string",
    ),
    check_of(
        "xml-external",
        5,
        "CWE-611: a body of XML that declares an entity, or has a definition or inclusion fetched",
    ),
    check_of("header-folds", 5, "more folded lines than any client sends"),
    check_of("max-forwards", 5, "RFC 3261 20.22: not a number from 0 to 255"),
    check_of(
        "tag-empty",
        3,
        "RFC 3261 25.1: a tag is a token, never empty (CVE-2018-14767)",
    ),
    check_of("oversize", 5, "longer than detection.max_bytes"),
];

/// What a structural rule weighs; an unknown one nothing.
pub fn score(id: &str) -> u8 {
    CHECKS
        .iter()
        .find(|check| check.id == id)
        .map_or(0, |check| check.score)
}

/// Whether a defect makes the message unfit to be routed.
pub fn is_malformed(message: &Message<'_>) -> bool {
    message.defects.iter().any(|defect| score(defect.rule) >= 5)
}

/// The declared body length in bytes; `None` where there is none or none that can be read.
pub fn content_length(message: &Message<'_>) -> Option<u128> {
    grammar::number(&message.get(names::CONTENT_LENGTH)?.value)
}

/// Whether a body is left when Content-Length is believed; bytes beyond it are not a body (18.3).
pub fn has_body(message: &Message<'_>) -> bool {
    !message.body().is_empty() && content_length(message) != Some(0)
}

/// Whether a reply can be built at all: it needs the request's Via, From, To, Call-ID and CSeq (8.2.6).
pub fn answerable(message: &Message<'_>) -> bool {
    message.kind == Kind::Request
        && message.method != b"ACK"
        && !message.defects.iter().any(|defect| {
            matches!(
                defect.rule,
                "header-missing"
                    | "header-colon"
                    | "via-format"
                    | "to-format"
                    | "cseq-format"
                    | "first-line"
                    | "header-unfinished"
            )
        })
}

/// Adds the defects that only a look at the whole message shows. `max_bytes` as in the policy.
pub fn check(message: &mut Message<'_>, max_bytes: usize) {
    if message.raw.len() > max_bytes {
        let reason = format!("{} bytes, {max_bytes} are allowed", message.raw.len());
        add(message, "oversize", Cow::Borrowed("message"), Cow::Owned(reason), b"");
    }
    if message.kind == Kind::Malformed {
        return;
    }
    check_names(message);
    if message.kind == Kind::Request && !is_version_2(message.raw) {
        let reason = Cow::Borrowed("the request line does not end in SIP/2.0");
        add(message, "version", Cow::Borrowed("first_line"), reason, b"");
    }
    check_mandatory(message);
    check_addresses(message);
    check_cseq(message);
    check_length(message);
    check_hops(message);
    check_tags(message);
}

fn add(
    message: &mut Message<'_>,
    rule: &'static str,
    field: Cow<'static, str>,
    reason: Cow<'static, str>,
    excerpt: &[u8],
) {
    let excerpt = Cow::Owned(excerpt[..excerpt.len().min(MAX_EXCERPT)].to_vec());
    message.defects.push(Defect {
        rule,
        field,
        reason,
        excerpt,
    });
}

fn check_names(message: &mut Message<'_>) {
    for at in 0..message.headers.len() {
        let header = &message.headers[at];
        if header.name.id == names::OTHER && !grammar::is_token(header.raw_name) {
            let name = header.raw_name;
            let reason = Cow::Borrowed("a header name that is no token");
            add(
                message,
                "header-name",
                Cow::Borrowed("header_name"),
                reason,
                &name[..name.len().min(128)],
            );
        }
    }
}

fn is_version_2(raw: &[u8]) -> bool {
    let line = grammar::trim_start(raw, |byte| matches!(byte, b'\r' | b'\n'));
    let line = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
    let line = grammar::trim_end(line, grammar::is_any_space);
    line.len() >= 7 && line[line.len() - 7..].eq_ignore_ascii_case(b"SIP/2.0")
}

fn check_mandatory(message: &mut Message<'_>) {
    const MANDATORY: [(u8, &str); 5] = [
        (names::VIA, "via"),
        (names::FROM, "from"),
        (names::TO, "to"),
        (names::CALL_ID, "call-id"),
        (names::CSEQ, "cseq"),
    ];
    let mut counts = [0usize; MANDATORY.len()];
    for header in &message.headers {
        if let Some(place) = MANDATORY.iter().position(|(id, _)| *id == header.name.id) {
            counts[place] += 1;
        }
    }
    for ((id, name), count) in MANDATORY.into_iter().zip(counts) {
        if count == 0 {
            let reason = Cow::Owned(format!("no {name} header field"));
            add(message, "header-missing", Cow::Borrowed(name), reason, b"");
        } else if count > 1 && id != names::VIA {
            let reason = Cow::Owned(format!("{count} {name} header fields"));
            add(message, "header-twice", Cow::Borrowed(name), reason, b"");
        }
    }
}

fn check_addresses(message: &mut Message<'_>) {
    for (id, rule, name) in [(names::FROM, "from-format", "from"), (names::TO, "to-format", "to")] {
        if let Some(header) = message.get(id) {
            if !grammar::is_address(&header.value) {
                let excerpt = header.value.clone();
                add(
                    message,
                    rule,
                    Cow::Borrowed(name),
                    Cow::Borrowed("not a name-addr or addr-spec"),
                    &excerpt,
                );
            }
        }
    }
    let mut number = 0;
    for at in 0..message.headers.len() {
        let header = &message.headers[at];
        if header.name.id != names::VIA {
            continue;
        }
        // sent-protocol may have spaces round its slashes (25.1), so only the first token and a host are asked for.
        let value = &header.value;
        let first = value
            .iter()
            .position(|&byte| grammar::is_any_space(byte))
            .unwrap_or(value.len());
        let more = value[first..].iter().any(|&byte| !grammar::is_any_space(byte));
        if first < 3 || !value[..3].eq_ignore_ascii_case(b"SIP") || !more {
            let field = if number == 0 {
                Cow::Borrowed("via")
            } else {
                Cow::Owned(format!("via[{number}]"))
            };
            let excerpt = value.clone();
            add(
                message,
                "via-format",
                field,
                Cow::Borrowed("no protocol and host"),
                &excerpt,
            );
        }
        number += 1;
    }
}

fn check_cseq(message: &mut Message<'_>) {
    let Some(header) = message.get(names::CSEQ) else {
        return;
    };
    let excerpt = header.value.clone();
    let read = grammar::cseq(&excerpt).and_then(|(number, method)| Some((grammar::number(number)?, method)));
    match read {
        Some((number, method)) if number < 1 << 32 && grammar::is_token(method) => {
            if message.kind == Kind::Request && method != message.method {
                let reason = format!("the request is {}", grammar::ascii(message.method));
                add(
                    message,
                    "cseq-method",
                    Cow::Borrowed("cseq"),
                    Cow::Owned(reason),
                    &excerpt,
                );
            }
        }
        _ => add(
            message,
            "cseq-format",
            Cow::Borrowed("cseq"),
            Cow::Borrowed("not a number and a method"),
            &excerpt,
        ),
    }
}

fn check_length(message: &mut Message<'_>) {
    const FIELD: Cow<'static, str> = Cow::Borrowed("content-length");
    let mut declared = None;
    let (mut count, mut conflict) = (0, false);
    for at in 0..message.headers.len() {
        let header = &message.headers[at];
        if header.name.id != names::CONTENT_LENGTH {
            continue;
        }
        count += 1;
        let Some(value) = grammar::number(&header.value) else {
            let excerpt = header.value.clone();
            return add(
                message,
                "content-length-format",
                FIELD,
                Cow::Borrowed("not a number"),
                &excerpt,
            );
        };
        conflict |= declared.is_some_and(|known| known != value);
        declared = Some(value);
    }
    if conflict {
        let reason = Cow::Owned(format!("{count} different values"));
        return add(message, "content-length-conflict", FIELD, reason, b"");
    }
    if count > 1 {
        let reason = Cow::Owned(format!("{count} times the same value"));
        add(message, "content-length-twice", FIELD, reason, b"");
    }
    let there = message.body().len() as u128;
    if let Some(declared) = declared.filter(|&declared| declared != there) {
        let rule = if declared > there {
            "content-length-beyond"
        } else {
            "content-length-short"
        };
        add(
            message,
            rule,
            FIELD,
            Cow::Owned(format!("{declared} declared, {there} bytes there")),
            b"",
        );
    }
}

fn check_hops(message: &mut Message<'_>) {
    for at in 0..message.headers.len() {
        let header = &message.headers[at];
        if header.name.id != names::MAX_FORWARDS {
            continue;
        }
        // Max-Forwards = "Max-Forwards" HCOLON 1*DIGIT; 0 to 255 (20.22)
        let value = &header.value;
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if !digits || grammar::number(&value[..value.len().min(10)]).is_none_or(|hops| hops > 255) {
            let excerpt = value.clone();
            let reason = Cow::Borrowed("not a number from 0 to 255");
            add(message, "max-forwards", Cow::Borrowed("max-forwards"), reason, &excerpt);
        }
    }
}

fn check_tags(message: &mut Message<'_>) {
    for (id, name) in [(names::FROM, "from"), (names::TO, "to")] {
        for at in 0..message.headers.len() {
            let header = &message.headers[at];
            if header.name.id != id || grammar::tag(grammar::behind_address(&header.value)) != Some(b"") {
                continue;
            }
            let excerpt = header.value.clone();
            let reason = Cow::Borrowed("a tag without a value");
            add(message, "tag-empty", Cow::Borrowed(name), reason, &excerpt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::parse;

    fn defects(raw: &str) -> Vec<&'static str> {
        let mut message = parse(raw.as_bytes());
        check(&mut message, 65535);
        message.defects.iter().map(|defect| defect.rule).collect()
    }

    const SOUND: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
        Call-ID: 1@h\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn a_sound_message_has_no_defect() {
        assert_eq!(defects(SOUND), Vec::<&str>::new());
    }

    #[test]
    fn a_defect_shows_what_was_sent() {
        let raw = SOUND.replacen("To: <sip:a@b>", "To: <sip:a@b>;tag=", 1);
        let mut message = parse(raw.as_bytes());
        check(&mut message, 65535);
        assert_eq!(message.defects[0].excerpt.as_ref(), b"<sip:a@b>;tag=");
        let raw = SOUND.as_bytes().strip_prefix(b"O").map(|rest| [b"\xff", rest].concat());
        let raw = raw.expect("an OPTIONS");
        let mut message = parse(&raw);
        check(&mut message, 65535);
        assert_eq!(message.defects[0].reason, "the request is \\xffPTIONS");
    }

    #[test]
    fn each_defect_is_named() {
        for (old, new, rule) in [
            ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", "version"),
            ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", "cseq-method"),
            ("CSeq: 1 OPTIONS", "CSeq: 4294967296 OPTIONS", "cseq-format"),
            ("Call-ID", "Call-ID: 2\r\nCall-ID", "header-twice"),
            ("Call-ID: 1@h\r\n", "", "header-missing"),
            ("To: <sip:a@b>", "To: <sip:a@b", "to-format"),
            ("To: <sip:a@b>", "To: <sip:a@b>;tag=", "tag-empty"),
            ("Via: SIP/2.0/UDP h", "Via: h", "via-format"),
            ("Length: 0", "Length: 0\r\nl: 7", "content-length-conflict"),
            ("Length: 0", "Length: 7", "content-length-beyond"),
            ("Length: 0", "Length: 4294967328", "content-length-beyond"),
            ("Length: 0", "Length: x", "content-length-format"),
            ("Forwards: 70", "Forwards: 256", "max-forwards"),
            ("To:", "To\x01:", "header-name"),
            ("Max-Forwards: 70", "Max-Forwards 70", "header-colon"),
        ] {
            assert!(defects(&SOUND.replacen(old, new, 1)).contains(&rule), "{rule}");
        }
    }
}
