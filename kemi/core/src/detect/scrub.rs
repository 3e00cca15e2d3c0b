//! Takes hostile values out of a message and leaves the rest of it as it was.

use super::register::is_session_name;
use crate::sip::{Last, Part, PartKind, Span, names};

/// What a removed value is replaced by: a token, so that it is valid wherever a value may stand.
pub const PLACEHOLDER: &[u8] = b"removed";

/// Header fields whose values stand in a reply as the request had them: its sender finds its call by them.
const fn is_echoed(id: u8) -> bool {
    matches!(
        id,
        names::VIA
            | names::FROM
            | names::TO
            | names::CALL_ID
            | names::CSEQ
            | names::RECORD_ROUTE
            | names::ROUTE
            | names::RACK
            | names::RSEQ
    )
}

/// Parameters of a URI that say how its host is reached (RFC 3261 19.1.1): with another value a dialog's requests would not
/// arrive.
fn says_how_to_reach(last: Last<'_>) -> bool {
    let name = match last {
        Last::Parameter(name) => name,
        Last::Named("uri" | "uri_parameters") => return true,
        _ => return false,
    };
    ["transport", "maddr", "ttl", "lr", "comp"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a part's value can be replaced without changing where the call goes.
///
/// A reply can't be refused, since the callee has answered (RFC 3261 13.3.1.4), so more is taken out of it, but never what its
/// host is reached by: a Contact is where the rest of the dialog is sent.
pub fn removable(part: &Part<'_>, is_reply: bool) -> bool {
    if part.span.is_empty() {
        return false;
    }
    let routed = part.header.has(names::ROUTED) || part.field.last == Last::Named("value");
    match part.kind {
        PartKind::DisplayName => true,
        PartKind::Text => !routed,
        PartKind::Parameter if part.quoted && !routed => true,
        // A text as a whole, and a session's name; SDP's other lines say where the media goes, and so do all those that are beyond
        // what is read line by line, and come as one.
        PartKind::Body if is_session_name(part) => memchr::memchr2(b'\n', b'\r', part.value).is_none(),
        PartKind::Body => part.field.header.id == names::BODY,
        PartKind::UriParameter if says_how_to_reach(part.field.last) => false,
        PartKind::Userinfo
        | PartKind::Password
        | PartKind::Parameter
        | PartKind::UriParameter
        | PartKind::UriHeader => is_reply && !is_echoed(part.header.id),
        _ => false,
    }
}

/// Behind the first empty line of a message; those in front of its first line are none (RFC 3261 7.5).
pub fn body_start(raw: &[u8]) -> usize {
    let first = raw.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let first = first.unwrap_or(raw.len());
    let mut at = first;
    while let Some(next) = memchr::memchr(b'\n', &raw[at..]) {
        at += next + 1;
        match raw[at..] {
            [b'\n', ..] => return at + 1,
            [b'\r', b'\n', ..] => return at + 2,
            _ => {}
        }
    }
    raw.len()
}

/// The message with these spans replaced, and no other byte changed. What overlaps a span before it is left out.
///
/// A body stays as long as it was, so that Content-Length holds: blanks follow the placeholder, or part of it stands there.
pub fn scrub(raw: &[u8], mut spans: Vec<Span>) -> Vec<u8> {
    spans.sort_unstable();
    let body = body_start(raw);
    let mut made = Vec::with_capacity(raw.len());
    let mut position = 0;
    for span in spans {
        if span.start < position || span.is_empty() || span.end > raw.len() {
            continue;
        }
        made.extend_from_slice(&raw[position..span.start]);
        if span.start >= body {
            let size = span.end - span.start;
            made.extend_from_slice(&PLACEHOLDER[..size.min(PLACEHOLDER.len())]);
            made.resize(made.len() + size.saturating_sub(PLACEHOLDER.len()), b' ');
        } else {
            made.extend_from_slice(PLACEHOLDER);
        }
        position = span.end;
    }
    made.extend_from_slice(&raw[position..]);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_replaced_once() {
        let span = |start, end| Span { start, end };
        assert_eq!(
            scrub(b"abcdef", vec![span(3, 5), span(1, 2), span(1, 2), span(4, 6)]),
            b"aremovedcremovedf"
        );
        assert_eq!(scrub(b"X\r\n\r\n$(reboot)", vec![span(5, 14)]), b"X\r\n\r\nremoved  ");
        assert_eq!(scrub(b"X\r\n\r\n`w`", vec![span(5, 8)]), b"X\r\n\r\nrem");
        assert_eq!(scrub(b"abc", vec![span(1, 9), span(2, 2)]), b"abc");
    }
}
