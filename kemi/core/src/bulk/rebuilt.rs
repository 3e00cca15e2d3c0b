//! Makes a message of what a log tells of it.

use super::batch::{Batch, Known, Recorded};
use super::join::Open;
use crate::record::UNKNOWN;

/// Puts a message into the batch.
pub fn put(open: Open, batch: &mut Batch) {
    let known = if open.message.is_empty() {
        Known::Quoted
    } else {
        Known::Whole
    };
    let start = batch.bytes.len();
    if open.message.is_empty() {
        request(&open, &mut batch.bytes);
    } else {
        batch.bytes.extend_from_slice(&open.message);
    }
    let raw = start..batch.bytes.len();
    let answer = (open.answered > 0).then(|| {
        reply(&open, &mut batch.bytes);
        raw.end..batch.bytes.len()
    });
    let item = Recorded {
        time: open.time,
        ip: open.ip,
        port: open.port,
        transport: open.transport,
        raw,
        known,
        refused: open.refused,
        limited: open.limited,
        foreign: open.foreign,
    };
    let answer = answer.map(|raw| Recorded {
        raw,
        known: Known::Quoted,
        ip: String::new(),
        port: 0,
        refused: false,
        limited: false,
        foreign: None,
        ..item.clone()
    });
    batch.items.push(item);
    batch.items.extend(answer);
}

/// Appends a value without line ends.
fn flat(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(value);
    if memchr::memchr2(b'\r', b'\n', value).is_some() {
        for byte in out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\r' | b'\n')) {
            *byte = b' ';
        }
    }
}

/// From, To, Call-ID and CSeq, as far as they are known.
fn common(open: &Open, method: &[u8], out: &mut Vec<u8>) {
    let of = |name: &str| {
        open.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &value[..])
    };
    out.extend_from_slice(b"From: ");
    match of("from") {
        Some(from) => flat(from, out),
        None => put_all(&[b"<sip:", UNKNOWN.as_bytes(), b">;tag=1"], out),
    }
    out.extend_from_slice(b"\r\nTo: ");
    match of("to") {
        Some(to) => flat(to, out),
        None => put_all(&[b"<sip:", UNKNOWN.as_bytes(), b">"], out),
    }
    out.extend_from_slice(b"\r\nCall-ID: ");
    match of("call-id").filter(|value| !value.is_empty()).unwrap_or(&open.call_id) {
        b"" => out.extend_from_slice(UNKNOWN.as_bytes()),
        call_id => flat(call_id, out),
    }
    let cseq = if open.cseq.is_empty() { b"1" } else { &open.cseq[..] };
    put_all(&[b"\r\nCSeq: ", cseq, b" ", method, b"\r\n"], out);
}

fn put_all(pieces: &[&[u8]], out: &mut Vec<u8>) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Header fields that are written by themselves.
const OWN: [&str; 12] = [
    "from",
    "to",
    "call-id",
    "content-length",
    "cseq",
    "via",
    "max-forwards",
    "l",
    "v",
    "f",
    "t",
    "i",
];

/// A message that holds what the log printed, and nothing else that a rule could mind.
fn request(open: &Open, out: &mut Vec<u8>) {
    let method: &[u8] = if open.method.is_empty() {
        b"OPTIONS"
    } else {
        &open.method
    };
    put_all(&[method, b" "], out);
    if open.uri.is_empty() {
        put_all(&[b"sip:", UNKNOWN.as_bytes()], out);
    }
    for (number, part) in open.uri.split(|byte| b" \r\n".contains(byte)).enumerate() {
        if number > 0 {
            out.extend_from_slice(b"%20");
        }
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b" SIP/2.0\r\nVia: SIP/2.0/");
    out.extend(open.transport.bytes().map(|byte| byte.to_ascii_uppercase()));
    let host = open.ip.as_bytes();
    match (host.is_empty(), host.contains(&b':')) {
        (true, _) => put_all(&[b" ", UNKNOWN.as_bytes()], out),
        (_, true) => put_all(&[b" [", host, b"]"], out),
        _ => put_all(&[b" ", host], out),
    }
    out.extend_from_slice(b";branch=z9hG4bK-unknown\r\nMax-Forwards: 70\r\n");
    common(open, method, out);
    for (name, value) in &open.headers {
        if !OWN.contains(&&**name) {
            put_all(&[name.as_bytes(), b": "], out);
            flat(value, out);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"Content-Length: 2\r\n\r\n\r\n");
}

/// The answer that an account names.
fn reply(open: &Open, out: &mut Vec<u8>) {
    let code = open.answered.to_string();
    let via = b" Answered\r\nVia: SIP/2.0/UDP ";
    put_all(&[b"SIP/2.0 ", code.as_bytes(), via, UNKNOWN.as_bytes()], out);
    out.extend_from_slice(b";branch=z9hG4bK-unknown\r\n");
    common(open, &open.method, out);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(open: Open) -> Vec<String> {
        let mut batch = Batch::default();
        put(open, &mut batch);
        let text = |item| String::from_utf8(batch.raw(item).to_vec()).unwrap();
        batch.items.iter().map(text).collect()
    }

    #[test]
    fn a_message_holds_what_is_known_and_what_it_must() {
        let nothing = said(Open {
            transport: "udp",
            ..Open::default()
        });
        assert_eq!(
            nothing,
            [format!(
                "OPTIONS sip:{UNKNOWN} SIP/2.0\r\nVia: SIP/2.0/UDP {UNKNOWN};branch=z9hG4bK-unknown\r\nMax-Forwards: 70\r\n\
                 From: <sip:{UNKNOWN}>;tag=1\r\nTo: <sip:{UNKNOWN}>\r\nCall-ID: {UNKNOWN}\r\nCSeq: 1 OPTIONS\r\n\
                 Content-Length: 2\r\n\r\n\r\n"
            )]
        );
        let mut open = Open {
            transport: "tls",
            ip: "2001:db8::1".to_owned(),
            method: b"INVITE".to_vec(),
            cseq: b"7".to_vec(),
            call_id: b"a\nb".to_vec(),
            uri: b"sip:a b\rc".to_vec(),
            answered: 486,
            ..Open::default()
        };
        open.header("from", b"<sip:x\r\n y@z>".to_vec());
        open.header("user-agent", b"one\ntwo".to_vec());
        open.header("via", b"his own".to_vec());
        let common = format!("From: <sip:x   y@z>\r\nTo: <sip:{UNKNOWN}>\r\nCall-ID: a b\r\nCSeq: 7 INVITE\r\n");
        assert_eq!(
            said(open),
            [
                format!(
                    "INVITE sip:a%20b%20c SIP/2.0\r\nVia: SIP/2.0/TLS [2001:db8::1];branch=z9hG4bK-unknown\r\n\
                     Max-Forwards: 70\r\n{common}user-agent: one two\r\nContent-Length: 2\r\n\r\n\r\n"
                ),
                format!(
                    "SIP/2.0 486 Answered\r\nVia: SIP/2.0/UDP {UNKNOWN};branch=z9hG4bK-unknown\r\n{common}\
                     Content-Length: 0\r\n\r\n"
                ),
            ]
        );
    }
}
