//! Judges parts with a tight grammar by their structure: what such a part holds by its grammar can't be code, and what its
//! grammar can't hold has no place in it.

use super::kinds::{self, Kinds, of_class as class};
use crate::sip::{Last, Part, PartKind, names};

/// Families that are about code and queries: none can stand in a value that is all letters, digits and a few marks.
const CODE: [&str; 12] = [
    "sql", "shell", "path", "xss", "template", "jndi", "ldap", "nosql", "xml", "code", "ssi", "format",
];

/// What a part's structure tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing in it can be code.
    Plain,
    /// Its grammar has room for marks that code needs, or it has no tight grammar.
    Open,
    /// It holds what its grammar can't: the structural rule that says so, and the first such byte.
    Broken(&'static str, u8),
}

const WORD: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

const HOST: Kinds = class(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:[]");
const TOKEN: Kinds = class(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:[]~=@");
const TOKENS: Kinds = class(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,/ ");
const DIGITS: Kinds = class(b"0123456789");
const LETTERS: Kinds = class(WORD);
const TELEPHONE: Kinds = class(b"0123456789+*#.()-");

/// What plain parts of an address or a Via are made of: not what parts them.
pub const PARTS: Kinds = HOST | class(b"~+#");

// Marks that no client has been seen to send there, legal or not. What is illegal and harmless is left to pass: clients send more
// bytes than RFC 3261 allows.
const NO_HOST: Kinds = class(b"'`\"(){}<>|&\\^#$");
const NO_TAG: Kinds = class(b"\"<>(){}|&$\\^#");
const NO_USER: Kinds = class(b"`<>{}|");
const NO_URI_PARAMETER: Kinds = class(b"`\"<>{}|\\^");
const NO_PARAMETER: Kinds = class(b"{}|\\^$");
const NO_NAME: Kinds = class(b"<>{}|^$&()");
const NO_CALL_ID: Kinds = class(b"|;$&^");
const NO_PROTOCOL: Kinds = class(b"\"'`<>(){}|&$\\^#;,=?!*");

/// Marks of the above that mean nothing by themselves wherever they stand, so that a look would pass them by.
pub const MARKS: [u8; 7] = *b"|{}$()#";

/// Whether any of `MARKS` stands in a text.
pub fn has_marks(text: &[u8]) -> bool {
    memchr::memchr3(MARKS[0], MARKS[1], MARKS[2], text)
        .or_else(|| memchr::memchr2(MARKS[3], MARKS[4], text))
        .or_else(|| memchr::memchr2(MARKS[5], MARKS[6], text))
        .is_some()
}

/// Whether a part is made of other parts: what is found in them already is not told again.
pub fn is_whole(part: &Part<'_>) -> bool {
    matches!(
        part.field.last,
        Last::Named("value" | "uri" | "user_password" | "parameters" | "uri_parameters")
    )
}

/// Whether a rule's family is about code.
pub fn is_code(family: &str) -> bool {
    CODE.contains(&family)
}

/// Reads a part's structure, in time linear in it.
pub fn of(part: &Part<'_>) -> Shape {
    with_kinds(part, kinds::of(part.value))
}

/// The same, where the kinds of the part's bytes are known.
pub fn with_kinds(part: &Part<'_>, there: Kinds) -> Shape {
    let value = part.value;
    match part.kind {
        PartKind::Host => judged(value, there, HOST, NO_HOST, "host-format"),
        PartKind::Port => judged(value, there, DIGITS, NO_HOST, "port-format"),
        PartKind::Userinfo | PartKind::Password => user(value, there),
        PartKind::Method => method(value, there),
        PartKind::Parameter | PartKind::UriParameter if !part.quoted => parameter(part, there),
        PartKind::Text => text(part, there),
        _ => Shape::Open,
    }
}

fn judged(value: &[u8], there: Kinds, plain: Kinds, never: Kinds, rule: &'static str) -> Shape {
    if there & !plain == 0 {
        // What begins with a dash is an option to a program, two dots go up.
        return if value.first() == Some(&b'-') || has_twice(value, there, b'.') {
            Shape::Open
        } else {
            Shape::Plain
        };
    }
    broken(value, there, never, rule)
}

/// What holds a mark that it never may have; else it is open.
fn broken(value: &[u8], there: Kinds, never: Kinds, rule: &'static str) -> Shape {
    if there & never == 0 {
        return Shape::Open;
    }
    match value.iter().find(|&&byte| kinds::of_byte(byte) & never != 0) {
        Some(&byte) => Shape::Broken(rule, byte),
        None => Shape::Open,
    }
}

/// Whether a mark stands beside its like.
fn has_twice(value: &[u8], there: Kinds, mark: u8) -> bool {
    there & kinds::of_byte(mark) != 0 && value.windows(2).any(|two| two == [mark; 2])
}

// userinfo = ( user / telephone-subscriber ) [ ":" password ] "@"   (RFC 3261 25.1); phones and numbers are most of them.
fn user(value: &[u8], there: Kinds) -> Shape {
    // A star beside a bracket is a filter of LDAP, a number without digits none.
    let telephone = || {
        there & !TELEPHONE == 0
            && there & DIGITS != 0
            && !(there & class(b"*") != 0 && there & class(b"()") != 0)
            && !has_twice(value, there, b'-')
            && !has_twice(value, there, b'.')
    };
    if value.first() != Some(&b'-') && (there & !LETTERS == 0 || telephone()) {
        return Shape::Plain;
    }
    broken(value, there, NO_USER, "user-format")
}

// Method = INVITEm / … / extension-method;  extension-method = token   (25.1)
fn method(value: &[u8], there: Kinds) -> Shape {
    match value
        .iter()
        .find(|&&byte| !crate::sip::grammar::TOKEN[usize::from(byte)])
    {
        Some(&byte) => Shape::Broken("method-format", byte),
        None if there & !LETTERS == 0 => Shape::Plain,
        None => Shape::Open,
    }
}

fn parameter(part: &Part<'_>, there: Kinds) -> Shape {
    let never = match part.field.last {
        // A name that is no token, or more than one parameter: a name's own marks are not all of a value's.
        Last::Named("parameter" | "uri_parameter") => NO_NAME,
        Last::Parameter(name) if is_identifier(name, part) => NO_TAG,
        Last::Parameter(_) if part.kind == PartKind::UriParameter => NO_URI_PARAMETER,
        Last::Parameter(_) => NO_PARAMETER,
        _ => return Shape::Open,
    };
    let rule = match part.field.last {
        Last::Parameter(name) if name.eq_ignore_ascii_case(b"tag") => "tag-format",
        Last::Parameter(name) if name.eq_ignore_ascii_case(b"branch") => "branch-format",
        _ => "parameter-format",
    };
    match judged(part.value, there, TOKEN, never, rule) {
        // Elsewhere values stand that no grammar of RFC 3261 is about.
        Shape::Broken(..) if !part.header.has(names::ROUTED) && part.header.id != names::REQUEST_URI => Shape::Open,
        // Such a name is read with its value, and may hold what looks like an option.
        Shape::Plain if !matches!(part.field.last, Last::Parameter(_)) => Shape::Open,
        shape => shape,
    }
}

/// Parameters by which transactions and dialogs are known: tokens, which their sender makes up (19.3, 8.1.1.7).
fn is_identifier(name: &[u8], part: &Part<'_>) -> bool {
    let named = |known: &[u8]| name.eq_ignore_ascii_case(known);
    part.kind == PartKind::Parameter
        && match part.header.id {
            names::VIA => named(b"branch") || named(b"received") || named(b"rport"),
            names::FROM | names::TO => named(b"tag"),
            _ => false,
        }
}

fn text(part: &Part<'_>, there: Kinds) -> Shape {
    match part.header.id {
        names::VIA if part.field.last == Last::Named("protocol") => {
            judged(part.value, there, TOKENS, NO_PROTOCOL, "protocol-format")
        }
        names::CALL_ID => judged(part.value, there, TOKEN, NO_CALL_ID, "call-id-format"),
        names::CSEQ
        | names::CONTENT_LENGTH
        | names::MAX_FORWARDS
        | names::EXPIRES
        | names::MIN_EXPIRES
        | names::RSEQ
        | names::RACK
        | names::MIN_SE
        | names::MIME_VERSION
        | names::SIP_ETAG
        | names::SIP_IF_MATCH
        | names::CONTENT_TYPE
        | names::REQUIRE
        | names::PROXY_REQUIRE
        | names::SUPPORTED
        | names::UNSUPPORTED
        | names::ALLOW
        | names::ALLOW_EVENTS
        | names::CONTENT_ENCODING
            if there & !TOKENS == 0 && is_tokens(part.value, there) =>
        {
            Shape::Plain
        }
        _ => Shape::Open,
    }
}

/// token *( COMMA token ), or the number and the method of a CSeq: single words, so that no sentence comes of them.
fn is_tokens(value: &[u8], there: Kinds) -> bool {
    let behind = |mark, fits: fn(u8) -> bool| {
        let mut places = memchr::memchr_iter(mark, value);
        there & kinds::of_byte(mark) == 0 || places.all(|at| at > 0 && fits(value[at - 1]))
    };
    if behind(b' ', |before| before == b',') && behind(b'-', |before| !matches!(before, b' ' | b',')) {
        // Each is one word, whatever it is.
        return value[0] != b'/' && !has_twice(value, there, b'.');
    }
    let words = |entry: &[u8]| {
        entry
            .split(|&byte| byte == b' ')
            .filter(|word| !word.is_empty())
            .all(|word| word[0] != b'-' && !word.windows(2).any(|two| two == b".."))
            && entry
                .split(|&byte| byte == b' ')
                .filter(|word| !word.is_empty() && !word.iter().all(u8::is_ascii_digit))
                .count()
                <= 1
    };
    value.split(|&byte| byte == b',').all(words) && value[0] != b'/'
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::sip::parse;
    use crate::sip::parts::{Bodies, each};

    /// The shape of the part that is named so.
    fn shape(raw: &str, field: &str) -> Shape {
        let message = parse(raw.as_bytes());
        let mut found = None;
        each(&message, Bodies { sdp: true, text: true }, |part| {
            if part.field.to_string() == field {
                found = Some(of(&part));
            }
            ControlFlow::Continue(())
        });
        found.unwrap_or_else(|| panic!("no {field} in {raw}"))
    }

    #[test]
    fn what_is_legal_and_strange_is_not_broken() {
        for host in [
            "h",
            "document.",
            "pbx.dev.env.",
            "web.config.example.com",
            "192.0.2.1",
            "[2001:db8::9]",
            "my_pbx",
        ] {
            assert_eq!(
                shape(&format!("X sip:a@{host} SIP/2.0\n\n"), "request_uri.host"),
                Shape::Plain,
                "{host}"
            );
        }
        for user in ["alice", "+49-30-1234", "*72#", "(030)123", "1000", "0x5f"] {
            assert_eq!(
                shape(&format!("X sip:{user}@h SIP/2.0\n\n"), "request_uri.userinfo"),
                Shape::Plain,
                "{user}"
            );
        }
        for user in [
            "o'brien",
            "a%20b",
            "a&b=c+d$e,f;g?h/i",
            "-_.!~*'()",
            "j@example.org",
            "müller",
            "a[1]",
            "DOM\\a",
            "\"a\"",
            "a b",
        ] {
            assert_eq!(
                shape(&format!("X sip:{user}@h SIP/2.0\n\n"), "request_uri.userinfo"),
                Shape::Open,
                "{user}"
            );
        }
        let odd = "!interesting-Method0123456789_*+`.%indeed'~";
        assert_eq!(shape(&format!("{odd} sip:a@h SIP/2.0\n\n"), "method"), Shape::Open);
        for id in ["f81d4fae-7dec@h", "a84b4c76e66710", "0ha0isndaksdj@10.1.1.1", "abc==@h"] {
            assert_eq!(shape(&format!("X\nCall-ID: {id}\n\n"), "call-id"), Shape::Plain, "{id}");
        }
        let word = "-.!%*_+`'~()<>:\\\"/[]?{}@-.!%*_+`'~()<>:\\\"/[]?{}";
        assert_eq!(shape(&format!("X\nCall-ID: {word}\n\n"), "call-id"), Shape::Open);
        for (line, field) in [
            ("Allow: INVITE, ACK,CANCEL", "allow"),
            ("CSeq: 4711 INVITE", "cseq"),
            ("Supported: 100rel, timer", "supported"),
            ("Max-Forwards: 70", "max-forwards"),
            ("Content-Type: application/sdp", "content-type"),
            ("Via: SIP / 2.0 / UDP h", "via.protocol"),
            ("Via: SIP/2.0/UDP h;received=2001:db8::1", "via.received"),
            ("From: <sip:a@b>;tag=-x1", "from.host"),
        ] {
            assert_eq!(shape(&format!("X\n{line}\n\n"), field), Shape::Plain, "{line}");
        }
    }

    #[test]
    fn what_a_grammar_can_not_hold_is_broken() {
        for (line, field, rule) in [
            ("From: <sip:a@h'x>", "from.host", "host-format"),
            ("From: <sip:a@$(id)>", "from.host", "host-format"),
            ("From: <sip:a@h:`id`>", "from.port", "port-format"),
            ("From: <sip:a`id`@h>", "from.userinfo", "user-format"),
            ("From: <sip:a:b|c@h>", "from.password", "user-format"),
            ("From: <sip:a@h>;tag=x|id", "from.tag", "tag-format"),
            ("Via: SIP/2.0/UDP h;branch=z9hG4bK$(id)", "via.branch", "branch-format"),
            ("Via: SIP/2.0/UDP|id h", "via.protocol", "protocol-format"),
            (
                "Contact: <sip:a@h;transport=`id`>",
                "contact.transport",
                "parameter-format",
            ),
            ("Contact: <sip:a@h>;a{b", "contact.parameter", "parameter-format"),
            ("Call-ID: x;id|y@h", "call-id", "call-id-format"),
        ] {
            let found = shape(&format!("X\n{line}\n\n"), field);
            assert!(
                matches!(found, Shape::Broken(found, _) if found == rule),
                "{line}: {found:?}"
            );
        }
        assert!(matches!(
            shape("IN<VITE sip:a@h SIP/2.0\n\n", "method"),
            Shape::Broken("method-format", b'<')
        ));
    }

    #[test]
    fn what_may_be_an_option_or_a_sentence_is_left_to_the_rules() {
        for (line, field) in [
            ("Supported: select password from users", "supported"),
            ("Allow: -oProxyCommand", "allow"),
            ("Content-Type: ../../etc/passwd", "content-type"),
            ("From: <sip:-x@h>", "from.userinfo"),
            ("From: <sip:a@..>", "from.host"),
            ("P-Charging-Vector: a;icid-value={1|2}", "p-charging-vector.icid-value"),
        ] {
            assert_eq!(shape(&format!("X\n{line}\n\n"), field), Shape::Open, "{line}");
        }
    }
}
