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
    let raw = if open.message.is_empty() {
        batch.put(&[&request(&open)])
    } else {
        batch.put(&[&open.message])
    };
    let answer = (open.answered > 0).then(|| batch.put(&[&reply(&open)]));
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

/// Without line ends.
fn flat(value: &[u8]) -> Vec<u8> {
    value
        .iter()
        .map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte })
        .collect()
}

/// From, To, Call-ID and CSeq, as far as they are known.
fn common(open: &Open, method: &[u8], out: &mut Vec<u8>) {
    let of = |name: &str| {
        open.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| flat(value))
    };
    let from = of("from").unwrap_or_else(|| format!("<sip:{UNKNOWN}>;tag=1").into_bytes());
    let to = of("to").unwrap_or_else(|| format!("<sip:{UNKNOWN}>").into_bytes());
    let call_id = of("call-id")
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| flat(&open.call_id));
    let call_id = if call_id.is_empty() {
        UNKNOWN.as_bytes()
    } else {
        &call_id
    };
    let cseq = if open.cseq.is_empty() { b"1" } else { &open.cseq[..] };
    for piece in [
        b"From: ",
        &from[..],
        b"\r\nTo: ",
        &to,
        b"\r\nCall-ID: ",
        call_id,
        b"\r\nCSeq: ",
        cseq,
        b" ",
        method,
        b"\r\n",
    ] {
        out.extend_from_slice(piece);
    }
}

/// A message that holds what the log printed, and nothing else that a rule could mind.
fn request(open: &Open) -> Vec<u8> {
    let method: &[u8] = if open.method.is_empty() {
        b"OPTIONS"
    } else {
        &open.method
    };
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(method);
    out.push(b' ');
    if open.uri.is_empty() {
        out.extend_from_slice(format!("sip:{UNKNOWN}").as_bytes());
    }
    for &byte in flat(&open.uri).iter() {
        if byte == b' ' {
            out.extend_from_slice(b"%20")
        } else {
            out.push(byte)
        }
    }
    let host = match (open.ip.is_empty(), open.ip.contains(':')) {
        (true, _) => UNKNOWN.to_owned(),
        (_, true) => format!("[{}]", open.ip),
        _ => open.ip.clone(),
    };
    let transport = open.transport.to_ascii_uppercase();
    out.extend_from_slice(
        format!(" SIP/2.0\r\nVia: SIP/2.0/{transport} {host};branch=z9hG4bK-unknown\r\nMax-Forwards: 70\r\n")
            .as_bytes(),
    );
    common(open, method, &mut out);
    for (name, value) in &open.headers {
        if ![
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
        ]
        .contains(&name.as_str())
        {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(&flat(value));
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"Content-Length: 2\r\n\r\n\r\n");
    out
}

/// The answer that an account names.
fn reply(open: &Open) -> Vec<u8> {
    let mut out = format!(
        "SIP/2.0 {} Answered\r\nVia: SIP/2.0/UDP {UNKNOWN};branch=z9hG4bK-unknown\r\n",
        open.answered
    )
    .into_bytes();
    common(open, &open.method, &mut out);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    out
}
