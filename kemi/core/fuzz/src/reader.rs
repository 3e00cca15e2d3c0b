//! What holds for whatever the reader is given: places that are right, parts that leave nothing out, linear cost.

use std::ops::ControlFlow;

use sipsieve_core::sip::parts::{Bodies, each};
use sipsieve_core::sip::{self, Header, Kind, Message, dialog, grammar};
use sipsieve_core::structure;

use crate::{MAX_INPUT, bounded};

/// Header fields that are read; the rest is a defect.
const MAX_HEADERS: usize = 128;

/// Of a reply, with one for the rest.
const MAX_REPLY_HEADERS: usize = 513;

/// Bytes of a parameter's name, which is in no part; a longer one is no name.
const MAX_NAME: usize = 64;

/// Dashes at an end of a boundary, which are in no part either: as many as a boundary may have bytes (RFC 2046 5.1.1).
const MAX_DASHES: usize = 70;

const BODIES: Bodies = Bodies { sdp: true, text: true };

pub fn check(data: &[u8]) {
    let data = &data[..data.len().min(MAX_INPUT)];
    bounded("reader", data.len(), || {
        let mut message = sip::parse(data);
        structure::check(&mut message, 65535);
        each(&message, BODIES, |_| ControlFlow::Continue(()));
    });
    let mut message = sip::parse(data);
    structure::check(&mut message, 65535);
    places(&message);
    covered(&message);
    dialogs(&message);
    let small = data.len() / 2;
    let mut again = sip::parse(data);
    structure::check(&mut again, small);
    assert_eq!(
        again.defects.iter().any(|defect| defect.rule == "oversize"),
        data.len() > small
    );
    // What follows the body's beginning changes nothing before it.
    let head = sip::parse(&data[..message.body_start]);
    assert_eq!(head.headers.len(), message.headers.len());
    assert_eq!(
        (head.kind, head.method, head.status),
        (message.kind, message.method, message.status)
    );
}

/// Whether `inner` lies within `outer`'s bytes.
fn within(inner: &[u8], outer: &[u8]) -> bool {
    inner.is_empty()
        || outer.as_ptr_range().start <= inner.as_ptr() && inner.as_ptr_range().end <= outer.as_ptr_range().end
}

fn places(message: &Message<'_>) {
    let raw = message.raw;
    assert!(message.body_start <= raw.len());
    let most = if message.kind == Kind::Reply {
        MAX_REPLY_HEADERS
    } else {
        MAX_HEADERS
    };
    assert!(message.headers.len() <= most);
    assert!(message.method.len() <= 64 && within(message.method, raw));
    for span in [message.uri, message.phrase] {
        assert!(span.start <= span.end && span.end <= raw.len());
    }
    let mut position = 0;
    for header in &message.headers {
        assert!(position <= header.start && header.start < header.value_start);
        assert!(header.value_start <= header.end && header.end <= message.body_start);
        assert!(within(header.raw_name, &raw[header.start..header.value_start]));
        assert_eq!(raw[header.value_start - 1], b':');
        // The first colon of a folded line may stand behind the fold: no token, so it is a defect.
        let is_odd = header.raw_name.contains(&b'\n');
        assert!(!is_odd || structure::is_malformed(message));
        let sent = grammar::trim(&raw[header.value_start..header.end], grammar::is_space);
        if !header.folded {
            assert!(!sent.contains(&b'\n'));
            assert_eq!(grammar::trim(&header.value, grammar::is_space), sent);
        }
        assert!(header.value.len() <= header.end - header.value_start);
        position = header.end;
    }
    for defect in &message.defects {
        assert!(
            structure::CHECKS.iter().any(|known| known.id == defect.rule),
            "{}",
            defect.rule
        );
        assert!(defect.excerpt.len() <= 256 && defect.reason.is_ascii());
    }
}

/// Every byte of a value is in a part, but separators and the names of parameters and schemes.
fn covered(message: &Message<'_>) {
    let raw = message.raw;
    let mut seen = vec![false; raw.len()];
    let (mut parts, mut bytes) = (0, 0);
    each(message, BODIES, |part| {
        parts += 1;
        bytes += part.value.len();
        assert!(part.span.start <= part.span.end && part.span.end <= raw.len());
        assert!(within(part.value, raw));
        if !part.span.is_empty() {
            assert_eq!(part.span.of(raw), part.value);
            seen[part.span.start..part.span.end].fill(true);
        }
        assert!(part.field.to_string().len() <= 4 * raw.len() + 100);
        ControlFlow::Continue(())
    });
    // A byte is in few parts, and a part takes a separator: so much is all work that follows.
    assert!(bytes <= 6 * raw.len() + 256, "{bytes} bytes in parts of {}", raw.len());
    assert!(parts <= raw.len() + 8, "{parts} parts of {} bytes", raw.len());
    for header in &message.headers {
        left_out(header, raw, &seen);
    }
}

fn left_out(header: &Header<'_>, raw: &[u8], seen: &[bool]) {
    let mut name = 0;
    for at in header.value_start..header.end {
        let byte = raw[at];
        let separates = matches!(
            byte,
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b',' | b'=' | b':' | b'<' | b'>' | b'"' | b'@' | b'?' | b'&'
        );
        if seen[at] || separates {
            name = 0;
        } else {
            name += 1;
            let most = if byte == b'-' { MAX_DASHES } else { MAX_NAME };
            assert!(
                grammar::is_token(&[byte]) && name <= most,
                "byte {at} of {:?} is in no part",
                String::from_utf8_lossy(raw)
            );
        }
    }
}

fn dialogs(message: &Message<'_>) {
    if let Some(identity) = dialog::identity(message) {
        assert!((1..=512).contains(&identity.call_id.len()));
        assert!((1..=256).contains(&identity.one.len()) && (1..=256).contains(&identity.other.len()));
        assert!(identity.one <= identity.other);
        assert!(dialog::to_tag(message).is_some());
    }
    if let Some((call_id, number)) = dialog::transaction(message) {
        assert!((1..=512).contains(&call_id.len()) && (1..=10).contains(&number.len()));
        assert!(number.iter().all(u8::is_ascii_digit));
    }
    for nonce in [
        dialog::credentials(message).and_then(|offer| offer.nonce),
        dialog::challenge(message).and_then(|challenge| challenge.nonce),
    ]
    .into_iter()
    .flatten()
    {
        assert!((1..=512).contains(&nonce.len()) && !nonce.contains(&b'"'));
    }
    assert!(dialog::target(message).len() < 256);
    if let Some((host, _)) = dialog::requester(message) {
        assert!(!host.is_empty() && message.kind == sip::Kind::Reply);
    }
    let _ = structure::answerable(message);
    let _ = structure::has_body(message);
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_boundary_may_be_of_dashes() {
        for dashes in [64, 65, 70, 71, 140] {
            let raw = format!("X\r\nc: multipart/mixed;boundary={}\r\n\r\n", "-".repeat(dashes));
            super::check(raw.as_bytes());
        }
    }
}
