//! Reads addresses and Via entries of the plainest form in one pass: what can hold no code need not be taken apart.
//!
//! What is accepted here is less than the grammar allows, so that no part can be anything but a word, a number or a host;
//! all else is left to `address` and `parameters`. `detect::soundness` has the test that both ways find the same.

use crate::sip::model::Span;

/// sent-protocol as clients write it (RFC 3261 25.1, RFC 4168, RFC 7118).
pub const PROTOCOLS: [&[u8]; 7] = [
    b"SIP/2.0/UDP",
    b"SIP/2.0/TCP",
    b"SIP/2.0/TLS",
    b"SIP/2.0/WS",
    b"SIP/2.0/WSS",
    b"SIP/2.0/SCTP",
    b"SIP/2.0/TLS-SCTP",
];

/// Parameters without a value that nearly every message has (RFC 3261, RFC 3581, RFC 5626).
pub const FLAGS: [&[u8]; 3] = [b"lr", b"rport", b"ob"];

// What a byte may be a part of, and which marks mean something twice.
const WORD: u16 = 1;
const DIGIT: u16 = 1 << 1;
const TELEPHONE: u16 = 1 << 2;
const HOST: u16 = 1 << 3;
const REFERENCE: u16 = 1 << 4;
const VALUE: u16 = 1 << 5;
const NAME: u16 = 1 << 6;
const USER: u16 = 1 << 7;
const DOT: u16 = 1 << 8;
const DASH: u16 = 1 << 9;

const fn roles(byte: u8) -> u16 {
    match byte {
        b'0'..=b'9' => WORD | DIGIT | TELEPHONE | HOST | REFERENCE | VALUE | NAME | USER,
        b'a'..=b'f' | b'A'..=b'F' => WORD | HOST | REFERENCE | VALUE | NAME | USER,
        b'g'..=b'z' | b'G'..=b'Z' | b'_' => WORD | HOST | VALUE | NAME | USER,
        b'.' => TELEPHONE | HOST | REFERENCE | VALUE | USER | DOT,
        b'-' => TELEPHONE | HOST | VALUE | NAME | USER | DASH,
        b':' => REFERENCE | VALUE,
        b'~' => VALUE | USER,
        b'+' | b'#' => TELEPHONE | USER,
        b'!' | b'=' | b',' => USER,
        _ => 0,
    }
}

static ROLES: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = roles(byte as u8);
        byte += 1;
    }
    table
};

/// Bytes of one role in a row.
struct Run {
    end: usize,
    /// What all of them may be a part of, what any, and which stand beside their like.
    all: u16,
    any: u16,
    twice: u16,
}

impl Run {
    /// From a place on. Not inlined: the code that a look runs through is pushed out of the caches between two messages.
    #[inline(never)]
    fn of(role: u16, value: &[u8], from: usize) -> Self {
        let mut run = Self {
            end: from,
            all: u16::MAX,
            any: 0,
            twice: 0,
        };
        let mut before = 0;
        for &byte in value.get(from..).unwrap_or_default() {
            let roles = ROLES[usize::from(byte)];
            if roles & role == 0 {
                break;
            }
            run.all &= roles;
            run.any |= roles;
            run.twice |= roles & before;
            before = roles;
            run.end += 1;
        }
        run
    }
}

/// What an address of the plainest form holds that may be more than a word or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// What stands behind the scheme begins there.
    pub from: usize,
    /// Its user.
    pub user: Option<Span>,
}

/// LAQUOT SIP-URI RAQUOT *( SEMI generic-param ), all of a value; `None` where it is of another form.
pub fn bracketed(value: &[u8]) -> Option<Rest> {
    let (rest, end) = address(value, 1)?;
    if value.get(end) != Some(&b'>') {
        return None;
    }
    (parameters(value, end + 1)? == value.len()).then_some(rest)
}

/// SIP-URI, all of a value.
pub fn uri(value: &[u8]) -> Option<Rest> {
    let (rest, end) = address(value, 0)?;
    (end == value.len()).then_some(rest)
}

/// via-parm: where its sent-by begins.
pub fn via(value: &[u8]) -> Option<usize> {
    let space = memchr::memchr(b' ', value.get(..17.min(value.len()))?)?;
    if !PROTOCOLS.contains(&&value[..space]) {
        return None;
    }
    let end = hostport(value, space + 1)?;
    (parameters(value, end)? == value.len()).then_some(space + 1)
}

/// SIP-URI from a place on, and where it ends.
fn address(value: &[u8], from: usize) -> Option<(Rest, usize)> {
    let scheme = value.get(from..from + 4)?;
    let from = match scheme {
        b"sip:" => from + 4,
        b"sips" if value.get(from + 4) == Some(&b':') => from + 5,
        _ => return None,
    };
    let run = Run::of(USER, value, from);
    let mut rest = Rest { from, user: None };
    let host = if value.get(run.end) == Some(&b'@') {
        let telephone =
            run.all & TELEPHONE != 0 && run.any & DIGIT != 0 && run.twice & (DOT | DASH) == 0 && value[from] != b'-';
        if run.end == from {
            return None;
        }
        if run.all & WORD == 0 && !telephone {
            rest.user = Some(Span {
                start: from,
                end: run.end,
            });
        }
        run.end + 1
    } else {
        from
    };
    let end = hostport(value, host)?;
    Some((rest, parameters(value, end)?))
}

/// host [ ":" port ] from a place on: where it ends.
fn hostport(value: &[u8], from: usize) -> Option<usize> {
    let end = if value.get(from) == Some(&b'[') {
        let run = Run::of(REFERENCE, value, from + 1);
        if value.get(run.end) != Some(&b']') || run.twice & DOT != 0 {
            return None;
        }
        run.end + 1
    } else {
        let run = Run::of(HOST, value, from);
        if run.end == from || value[from] == b'-' || run.twice & DOT != 0 {
            return None;
        }
        run.end
    };
    if value.get(end) != Some(&b':') {
        return Some(end);
    }
    let port = Run::of(DIGIT, value, end + 1);
    (port.end > end + 1).then_some(port.end)
}

/// *( SEMI generic-param ) from a place on: where they end.
fn parameters(value: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while value.get(at) == Some(&b';') {
        let name = Run::of(NAME, value, at + 1);
        let text = &value[at + 1..name.end];
        if value.get(name.end) == Some(&b'=') {
            let run = Run::of(VALUE, value, name.end + 1);
            let empty = run.end == name.end + 1 || text.is_empty();
            if empty || text.len() > 64 || value[name.end + 1] == b'-' || run.twice & DOT != 0 {
                return None;
            }
            at = run.end;
        } else if FLAGS.contains(&text) {
            at = name.end;
        } else {
            return None;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_phones_send_is_of_the_plainest_form() {
        for value in [
            "<sip:alice@example.com>",
            "<sip:+49-30-1234@example.com;user=phone>;tag=1c31cc4c8e46dec4",
            "<sips:[2001:db8::9]:5061;lr;transport=tls>",
            "<sip:192.0.2.1:5060;lr>;expires=3600;q=0.5",
        ] {
            let rest = bracketed(value.as_bytes()).unwrap_or_else(|| panic!("{value}"));
            assert_eq!(rest.user, None, "{value}");
        }
        let user = |start, end| {
            Some(Rest {
                from: start,
                user: Some(Span { start, end }),
            })
        };
        assert_eq!(bracketed(b"<sip:j.doe@h>"), user(5, 10));
        assert_eq!(uri(b"sip:1..2@h:5060"), user(4, 8));
        assert_eq!(uri(b"sip:h;transport=udp").map(|rest| rest.user), Some(None));
        assert_eq!(via(b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport"), Some(12));
        assert_eq!(via(b"SIP/2.0/TLS-SCTP h"), Some(17));
    }

    #[test]
    fn whatever_may_be_more_than_a_word_is_not() {
        for value in [
            "",
            "<",
            "<sip:",
            "<sip:>",
            "<sip:@h>",
            "<sip:a@-h>",
            "<sip:a@h..x>",
            "<sip:a@h:>",
            "<sip:a@h:5060x>",
            "<sip:a:b@h>",
            "<sip:a@b@h>",
            "<sip:a%20b@h>",
            "<sip:a'b@h>",
            "<sip:a@h;x>",
            "<sip:a@h;=1>",
            "<sip:a@h;x=>",
            "<sip:a@h;x=-1>",
            "<sip:a@h;x=a@b>",
            "<sip:a@h;x=\"1\">",
            "<sip:a@h?x=1>",
            "<sip:a@h> ;tag=1",
            "<sip:a@h>x",
            "<sip:a@h>;tag=1 ",
            "<sip:a@h",
            "<tel:+49>",
            "sip:a@h",
        ] {
            assert_eq!(bracketed(value.as_bytes()), None, "{value}");
        }
        for value in [
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/udp h",
            "SIP/2.0/UDP  h",
            "SIP/2.0/UDP h;x",
        ] {
            assert_eq!(via(value.as_bytes()), None, "{value}");
        }
    }
}
