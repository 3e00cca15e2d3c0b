//! Tells which dialog and transaction a message belongs to, whom it is for, and what it says of credentials.

use std::borrow::Cow;

use memchr::memchr;

use super::grammar::{self, is_space};
use super::model::{Header, Kind, Message};
use super::names;

/// Bytes of a Call-ID, tag or nonce; of longer ones nothing is remembered.
const MAX_CALL_ID: usize = 512;
const MAX_TAG: usize = 256;
const MAX_NONCE: usize = 512;

/// Bytes of an address: an IPv6 one that ends in an IPv4 one.
const MAX_ADDRESS: usize = 45;

/// Call-ID and both tags (RFC 3261 12), the tags in the order of their bytes: the same from either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'m> {
    pub call_id: &'m [u8],
    pub one: &'m [u8],
    pub other: &'m [u8],
}

/// Credentials that a request offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer<'m> {
    pub nonce: Option<Cow<'m, [u8]>>,
}

/// A challenge in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'m> {
    pub nonce: Option<Cow<'m, [u8]>>,
    /// Only the nonce was stale: the password was right (RFC 7616 3.3).
    pub stale: bool,
}

/// The Call-ID; `None` where there is none, or one of more than 512 bytes.
pub fn call_id<'m>(message: &'m Message<'_>) -> Option<&'m [u8]> {
    let value: &[u8] = &message.get(names::CALL_ID)?.value;
    (1..=MAX_CALL_ID).contains(&value.len()).then_some(value)
}

fn tag_of<'m>(header: Option<&'m Header<'_>>) -> Option<&'m [u8]> {
    let tag = grammar::tag(grammar::behind_address(&header?.value))?;
    (1..=MAX_TAG).contains(&tag.len()).then_some(tag)
}

/// The To header field's tag, where it has one.
pub fn to_tag<'m>(message: &'m Message<'_>) -> Option<&'m [u8]> {
    grammar::tag(grammar::behind_address(&message.get(names::TO)?.value))
}

/// The dialog that a message belongs to; `None` where Call-ID or one of the tags is missing.
pub fn identity<'m>(message: &'m Message<'_>) -> Option<Identity<'m>> {
    // Most messages are outside of dialogs, and then To has no tag.
    let other = tag_of(message.get(names::TO))?;
    let one = tag_of(message.get(names::FROM))?;
    let call_id = call_id(message)?;
    let (one, other) = if one <= other { (one, other) } else { (other, one) };
    Some(Identity { call_id, one, other })
}

/// What a request and its answers have in common: Call-ID and the CSeq's number.
pub fn transaction<'m>(message: &'m Message<'_>) -> Option<(&'m [u8], &'m [u8])> {
    let cseq = &message.get(names::CSEQ)?.value;
    let length = cseq.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    (length > 0).then_some((call_id(message)?, &cseq[..length]))
}

/// The credentials of a request; `None` where it has none.
pub fn credentials<'m>(message: &'m Message<'_>) -> Option<Offer<'m>> {
    let header = message
        .headers
        .iter()
        .find(|header| matches!(header.name.id, names::AUTHORIZATION | names::PROXY_AUTHORIZATION))?;
    Some(Offer {
        nonce: quoted_parameter(&header.value, b"nonce"),
    })
}

/// The user that a request's credentials name; `None` where it has none.
pub fn username<'m>(message: &'m Message<'_>) -> Option<&'m [u8]> {
    of_credentials(message, b"username")
}

/// The realm that they are for.
pub fn realm<'m>(message: &'m Message<'_>) -> Option<&'m [u8]> {
    of_credentials(message, b"realm")
}

fn of_credentials<'m>(message: &'m Message<'_>, name: &[u8]) -> Option<&'m [u8]> {
    let header = message
        .headers
        .iter()
        .find(|header| matches!(header.name.id, names::AUTHORIZATION | names::PROXY_AUTHORIZATION))?;
    let text = parameter(&header.value, name)?.strip_prefix(b"\"")?;
    let text = &text[..memchr(b'"', text)?];
    (1..=256).contains(&text.len()).then_some(text)
}

/// The challenge of an answer; `None` where it has none.
pub fn challenge<'m>(message: &'m Message<'_>) -> Option<Challenge<'m>> {
    let header = message
        .headers
        .iter()
        .find(|header| matches!(header.name.id, names::WWW_AUTHENTICATE | names::PROXY_AUTHENTICATE))?;
    let stale = parameter(&header.value, b"stale").is_some_and(|value| {
        value
            .strip_prefix(b"\"")
            .unwrap_or(value)
            .get(..4)
            .is_some_and(|text| text.eq_ignore_ascii_case(b"true"))
    });
    Some(Challenge {
        nonce: quoted_parameter(&header.value, b"nonce"),
        stale,
    })
}

/// auth-param = auth-param-name EQUAL ( token / quoted-string )   (25.1)
///
/// What stands behind a parameter's name and equals sign.
fn parameter<'v>(value: &'v [u8], name: &[u8]) -> Option<&'v [u8]> {
    let mut at = 0;
    while let Some(equals) = memchr(b'=', &value[at..]).map(|found| at + found) {
        let before = grammar::trim_end(&value[at..equals], is_space);
        let behind = grammar::trim_start(&value[equals + 1..], is_space);
        if let Some(start) = before.len().checked_sub(name.len()) {
            let separated = start == 0 && at == 0 || start > 0 && matches!(before[start - 1], b',' | b' ' | b'\t');
            if separated && before[start..].eq_ignore_ascii_case(name) {
                return Some(behind);
            }
        }
        at = equals + 1;
        // A quoted string may hold anything: it is no place for a name.
        if behind.first() == Some(&b'"') {
            let open = value.len() - behind.len() + 1;
            at = grammar::closing_quote(value, open, value.len()).map_or(value.len(), |close| close + 1);
        }
    }
    None
}

fn quoted_parameter<'v>(value: &'v [u8], name: &[u8]) -> Option<Cow<'v, [u8]>> {
    let text = parameter(value, name)?.strip_prefix(b"\"")?;
    let text = &text[..memchr(b'"', text)?];
    ((1..=MAX_NONCE).contains(&text.len())).then_some(Cow::Borrowed(text))
}

/// Whom a request is for: the user of the Request-URI, of a REGISTER that of To (RFC 3261 10.2); b"" without.
pub fn target<'m>(message: &'m Message<'_>) -> &'m [u8] {
    let uri: &[u8] = if message.method == b"REGISTER" {
        match message.get(names::TO) {
            Some(header) => address_uri(&header.value),
            None => b"",
        }
    } else {
        message.uri.of(message.raw)
    };
    userinfo(uri)
}

/// The URI of a From or To, its parameters included, as Kamailio's `$fu` and `$tu` show it; b"" without.
///
/// ```text
/// From        = ( name-addr / addr-spec ) *( SEMI from-param )     (RFC 3261 25.1)
/// name-addr   = [ display-name ] LAQUOT addr-spec RAQUOT
/// ```
///
/// A display name is quoted or made of tokens: behind a semicolon outside of quotes stand header parameters, and a "<"
/// there begins no address. A quote that is never closed hides nothing, nor does one inside a word. Kamailio reads no
/// further than to a NUL.
pub fn address_uri(value: &[u8]) -> &[u8] {
    let value = grammar::trim(&value[..memchr(0, value).unwrap_or(value.len())], is_space);
    let name = match value.first() {
        Some(b'"') => grammar::closing_quote(value, 1, value.len()).map_or(0, |close| close + 1),
        _ => 0,
    };
    let uri = match memchr::memchr2(b'<', b';', &value[name..]) {
        Some(low) if value[name + low] == b'<' => {
            let inner = &value[name + low + 1..];
            &inner[..memchr(b'>', inner).unwrap_or(inner.len())]
        }
        // Without brackets what follows a semicolon are header parameters (20.10).
        _ => &value[..memchr(b';', value).unwrap_or(value.len())],
    };
    grammar::trim(uri, is_space)
}

/// What stands between a URI's scheme and its "@"; b"" where there is no "@".
pub fn userinfo(uri: &[u8]) -> &[u8] {
    let Some(colon) = memchr(b':', uri) else {
        return b"";
    };
    let rest = &uri[colon + 1..];
    &rest[..memchr(b'@', &rest[..rest.len().min(256)]).unwrap_or(0)]
}

/// A URI's host, without port and parameters; b"" without a scheme.
pub fn host(uri: &[u8]) -> &[u8] {
    let Some(colon) = memchr(b':', uri) else {
        return b"";
    };
    let rest = &uri[colon + 1..];
    let rest = memchr(b'@', rest).map_or(rest, |at| &rest[at + 1..]);
    let rest = &rest[..memchr::memchr2(b';', b'?', rest).unwrap_or(rest.len())];
    if rest.first() == Some(&b'[') {
        return &rest[..memchr(b']', rest).map_or(rest.len(), |close| close + 1)];
    }
    &rest[..memchr(b':', rest).unwrap_or(rest.len())]
}

/// Whom a reply goes back to: the second Via's address, `received` and `rport` where the server wrote them (RFC 3261 18.2.1,
/// RFC 3581).
pub fn requester(message: &Message<'_>) -> Option<(String, u16)> {
    if message.kind != Kind::Reply {
        return None;
    }
    let second = message
        .all(names::VIA)
        .flat_map(|header| header.value.split(|&byte| byte == b','))
        .nth(1)?;
    let mut parts = second.split(|&byte| byte == b';');
    let (mut host, mut port) = sent_by(parts.next().unwrap_or_default()).unwrap_or((b"", 5060));
    for part in parts {
        let part = grammar::trim(part, is_space);
        if let Some(value) = stripped(part, b"received=") {
            // Some write a name here, which no server means to be believed: then what was sent by counts.
            let value = grammar::trim(value, is_space);
            let is_address = value
                .iter()
                .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'));
            if is_address && (2..=MAX_ADDRESS).contains(&value.len()) {
                host = value;
            }
        } else if let Some(value) = stripped(part, b"rport=") {
            let length = value.iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
            port = grammar::number(&value[..length]).map_or(port, |number| number.min(65535) as u16);
        }
    }
    let host = std::str::from_utf8(host).ok()?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn stripped<'v>(part: &'v [u8], name: &[u8]) -> Option<&'v [u8]> {
    part.get(..name.len())?
        .eq_ignore_ascii_case(name)
        .then(|| &part[name.len()..])
}

/// sent-protocol LWS sent-by;  sent-by = host [ COLON port ]   (25.1)
fn sent_by(value: &[u8]) -> Option<(&[u8], u16)> {
    let value = grammar::trim(value, is_space);
    let at = value.iter().rposition(|&byte| byte == b'/')?;
    let behind = grammar::trim_start(&value[at + 1..], is_space);
    let transport = behind.iter().take_while(|&&byte| !is_space(byte)).count();
    let host = grammar::trim(&behind[transport..], is_space);
    let (host, rest) = if let Some(inner) = host.strip_prefix(b"[") {
        let close = memchr(b']', inner)?;
        (&inner[..close], &inner[close + 1..])
    } else {
        host.split_at(memchr(b':', host).unwrap_or(host.len()))
    };
    let port = match grammar::trim(rest, is_space).strip_prefix(b":") {
        Some(digits) => grammar::number(grammar::trim(digits, is_space))?.min(65535) as u16,
        None => 5060,
    };
    Some((grammar::trim(host, is_space), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::parse;

    #[test]
    fn the_address_is_the_one_that_calls_not_one_in_a_name() {
        let shown = |value: &'static str| std::str::from_utf8(address_uri(value.as_bytes())).unwrap();
        assert_eq!(shown(r#""a\"<sip:x@y>" <sip:a@h;p=1>;tag=2"#), "sip:a@h;p=1");
        assert_eq!(shown("sip:a@h;tag=2"), "sip:a@h");
        assert_eq!(shown(" \t<sip:a@h> ;tag=2"), "sip:a@h");
        assert_eq!(shown("sip:a@h;x=<sip:b@h>"), "sip:a@h");
        assert_eq!(shown("A;x <sip:b@h>"), "A");
        assert_eq!(shown("sip:a\0b@h <sip:b@h>"), "sip:a");
        assert_eq!(shown(r#""A;x" <sip:b@h>"#), "sip:b@h");
        assert_eq!(shown(r#""sip:ceo@victim.example" <sip:attacker@h>"#), "sip:attacker@h");
        assert_eq!(shown(r#""open <sip:a@h>"#), "sip:a@h");
        assert_eq!(shown(r#"x"] <sip:a"]@h>"#), r#"sip:a"]@h"#);
        assert_eq!(shown("<sip:a@h"), "sip:a@h");
        assert_eq!(shown(r#""ends\"#), r#""ends\"#);
        assert_eq!(shown("<>"), "");
    }

    #[test]
    fn a_dialog_is_the_same_from_either_side_and_in_any_form() {
        let one = parse(b"BYE sip:x SIP/2.0\r\nFrom: <sip:a@b>;tag=aa\r\nTo: <sip:c@d>;tag=bb\r\nCall-ID: 1\r\n\r\n");
        let other = parse(b"BYE sip:x SIP/2.0\r\nf : <sip:c@d>\r\n ;Tag = bb\r\nTO:<sip:a@b>;tag=aa\r\ni:1\r\n\r\n");
        assert_eq!(identity(&one), identity(&other));
        assert!(identity(&one).is_some());
    }

    #[test]
    fn whom_a_request_is_for() {
        let of = |raw: &str| String::from_utf8_lossy(target(&parse(raw.as_bytes()))).into_owned();
        assert_eq!(of("INVITE sip:bob@h SIP/2.0\n\n"), "bob");
        assert_eq!(of("INVITE sip:h SIP/2.0\n\n"), "");
        for to in ["To: \"sip:ceo@x\" <sip:al@h>", "t:<sip:al@h>", "TO : sip:al@h;tag=1"] {
            assert_eq!(of(&format!("REGISTER sip:h SIP/2.0\n{to}\n\n")), "al", "{to}");
        }
    }

    #[test]
    fn credentials_and_challenges() {
        let raw = b"REGISTER sip:h SIP/2.0\nAuthorization: Digest username=\"nonce=\\\"x\\\"\", cnonce=\"no\", nonce = \"yes\"\n\n";
        let message = parse(raw);
        assert_eq!(
            credentials(&message).and_then(|offer| offer.nonce).as_deref(),
            Some(&b"yes"[..])
        );
        let raw = b"SIP/2.0 401 U\nWWW-Authenticate: Digest realm=\"a\", nonce=\"n\", stale=TRUE\n\n";
        assert_eq!(
            challenge(&parse(raw)),
            Some(Challenge {
                nonce: Some(Cow::Borrowed(b"n")),
                stale: true
            })
        );
    }

    #[test]
    fn a_reply_goes_back_to_the_second_via() {
        let of = |vias: &str| requester(&parse(format!("SIP/2.0 404 N\r\n{vias}\r\n\r\n").as_bytes()));
        let known = |ip: &str, port| Some((ip.to_owned(), port));
        assert_eq!(
            of("Via: SIP/2.0/UDP p\r\nVia: SIP/2.0/UDP 10.0.0.1:99;rport=77;received=192.0.2.1"),
            known("192.0.2.1", 77)
        );
        assert_eq!(
            of("v: SIP/2.0/UDP p, SIP / 2.0 / TCP [2001:db8::1]:5070"),
            known("2001:db8::1", 5070)
        );
        assert_eq!(
            of("Via: SIP/2.0/UDP p\r\nVia: SIP/2.0/UDP 192.0.2.9:7060;received=host"),
            known("192.0.2.9", 7060)
        );
        assert_eq!(
            of("Via: SIP/2.0/UDP p\r\nVia: SIP/2.0/UDP 192.0.2.9;received=dead.example"),
            known("192.0.2.9", 5060)
        );
        assert_eq!(of("Via: SIP/2.0/UDP p"), None);
    }
}
