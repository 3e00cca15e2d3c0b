//! Writes the SIP message of a record, in the words of Packetbeat and ECS.

use std::sync::LazyLock;

use super::json;
use super::recorder::Recorder;
use crate::sip::{Kind, Message, dialog, names};

/// Stands for what the log of another program did not print of a message.
pub const UNKNOWN: &str = "unknown.invalid";

impl Recorder {
    /// The message in Packetbeat's words.
    pub(super) fn sip(&mut self, out: &mut Vec<u8>, message: &Message) {
        out.extend_from_slice(match message.kind {
            Kind::Request => b",\"sip\":{\"type\":\"request\",\"method\":\"",
            Kind::Reply => b",\"sip\":{\"type\":\"response\",\"method\":\"",
            Kind::Malformed => b",\"sip\":{\"method\":\"",
        });
        json::escaped(out, message.method, 32);
        out.push(b'"');
        if message.kind == Kind::Reply && message.status > 0 {
            out.extend_from_slice(b",\"code\":");
            json::number(out, message.status.into());
        }
        let Values {
            uri,
            call_id,
            from,
            to,
            cseq,
        } = values(message, self.quoted);
        let values = [
            (&b",\"uri\":{\"original\":\""[..], uri, &b"\"}"[..], true),
            (b",\"call_id\":\"", call_id, b"\"", false),
            (b",\"from\":{\"uri\":{\"original\":\"", from, b"\"}}", true),
            (b",\"to\":{\"uri\":{\"original\":\"", to, b"\"}}", true),
        ];
        for (name, value, end, maskable) in values {
            if let Some(value) = value {
                out.extend_from_slice(name);
                self.sent(out, value, self.measure.value, maskable.then_some(""));
                out.extend_from_slice(end);
            }
        }
        if let Some(number) = cseq {
            out.extend_from_slice(b",\"cseq\":{\"code\":");
            json::number(out, number);
            out.push(b'}');
        }
        out.push(b'}');
    }
}

/// What a record tells of a message's addresses and dialog.
pub(super) struct Values<'m> {
    pub uri: Option<&'m [u8]>,
    pub call_id: Option<&'m [u8]>,
    /// The URIs of From and To.
    pub from: Option<&'m [u8]>,
    pub to: Option<&'m [u8]>,
    pub cseq: Option<u64>,
}

/// These of a message; of one that was put together from what a log quotes, without what is not known.
pub(super) fn values<'m>(message: &'m Message, quoted: bool) -> Values<'m> {
    static UNKNOWN_VALUE: LazyLock<memchr::memmem::Finder<'static>> =
        LazyLock::new(|| memchr::memmem::Finder::new(UNKNOWN));
    let is_known = |value: &&[u8]| !quoted || UNKNOWN_VALUE.find(value).is_none();
    let uri = message.raw.get(message.uri.start..message.uri.end).unwrap_or_default();
    let (mut call_id, mut cseq, mut from, mut to) = (None, None, None, None);
    for header in &message.headers {
        // Where a header field is there twice, it is the first that counts.
        let place = match header.name.id {
            names::CALL_ID => &mut call_id,
            names::CSEQ => &mut cseq,
            names::FROM => &mut from,
            names::TO => &mut to,
            _ => continue,
        };
        place.get_or_insert(&header.value[..]);
    }
    Values {
        uri: Some(uri).filter(|_| message.kind == Kind::Request).filter(is_known),
        call_id: call_id.filter(is_known),
        from: from.and_then(address).filter(is_known),
        to: to.and_then(address).filter(is_known),
        cseq: cseq.and_then(sequence),
    }
}

/// Of a request the User-Agent before any Server, which a request does not have (RFC 3261 20.35); of a reply, which
/// may have both, the first.
pub(super) fn agent<'m>(message: &'m Message) -> Option<&'m [u8]> {
    let mut server = None;
    for header in &message.headers {
        if header.name.is("user-agent") {
            return Some(&header.value);
        }
        if server.is_none() && header.name.is("server") {
            server = Some(&header.value[..]);
            if message.kind != Kind::Request {
                break;
            }
        }
    }
    server
}

/// The number of a CSeq (RFC 3261 20.16), at most ten digits.
fn sequence(value: &[u8]) -> Option<u64> {
    let digits = value.iter().take(10).take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number, digit| {
        Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0'))
    })
}

/// The URI of a From or To, if it has one.
fn address(value: &[u8]) -> Option<&[u8]> {
    Some(dialog::address_uri(value)).filter(|uri| !uri.is_empty())
}
