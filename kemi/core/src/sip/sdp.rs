//! Finds the lines of a session description that may hold text.

use memchr::{memchr, memchr2};

use super::grammar::{Class, class};
use super::model::Span;

/// Lines read one by one: a description has three of them and one more for each stream that it names.
pub const MAX_LINES: usize = 64;

/// Origin, session name, information, URI, e-mail address and phone number (RFC 8866 5.2 to 5.6): for people to read. And a
/// key, which nobody sends any more (5.12).
const fn has_text(name: u8) -> bool {
    matches!(name, b'o' | b's' | b'i' | b'u' | b'e' | b'p' | b'k')
}

/// Bytes without which no code is written; other lines are addresses, numbers and tokens, and most have none of these.
static MARKS: Class = class(b"'`\"$(){}<>|&%\\#");

/// Whether code may stand in a line that is not for people: it has a mark, a path from the root, or one that goes up.
fn is_marked(line: &[u8]) -> bool {
    let mut before = 0;
    line.iter().any(|&byte| {
        let pair = (before, byte);
        before = byte;
        MARKS[usize::from(byte)] || !byte.is_ascii() || matches!(pair, (b'.', b'.') | (b' ', b'/'))
    })
}

/// Attributes of numbers, tokens and keys (RFC 8866 6, RFC 8839, RFC 8285, RFC 4568 …), of which a description has many.
const NUMBERED: [&[u8]; 28] = [
    b"rtpmap",
    b"fmtp",
    b"candidate",
    b"ssrc",
    b"rtcp-fb",
    b"extmap",
    b"rtcp",
    b"ptime",
    b"maxptime",
    b"crypto",
    b"mid",
    b"msid",
    b"group",
    b"setup",
    b"fingerprint",
    b"ice-ufrag",
    b"ice-pwd",
    b"ice-options",
    b"msid-semantic",
    b"ssrc-group",
    b"control",
    b"range",
    b"imageattr",
    b"rid",
    b"simulcast",
    b"sctp-port",
    b"max-message-size",
    b"framerate",
];

/// Whether a line holds nothing but what is encoded, of which a description has dozens, each of random letters that may read like
/// anything: a key of SRTP as RFC 4568 9.2 has it (a tag, a suite, and keys with how long and by which number they are used), or an
/// identity, which is a single object of JSON (RFC 8827 5.1).
fn is_encoded(line: &[u8]) -> bool {
    if let Some(identity) = line.strip_prefix(b"a=identity:") {
        let is_object = identity.starts_with(b"ey") || identity.starts_with(b"ew");
        return is_object
            && identity
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    }
    let Some(rest) = line.strip_prefix(b"a=crypto:") else {
        return false;
    };
    let words: Vec<&[u8]> = rest.split(|&byte| byte == b' ').collect();
    let [tag, suite, keys, parameters @ ..] = &words[..] else {
        return false;
    };
    let all = |text: &[u8], fits: fn(u8) -> bool| !text.is_empty() && text.iter().all(|&byte| fits(byte));
    let named = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_one = |key: &[u8]| {
        let mut fields = key.split(|&byte| byte == b'|');
        let key = fields.next().and_then(|key| key.strip_prefix(b"inline:"));
        let encoded = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        let number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'^' | b':');
        key.is_some_and(|key| key.len() >= 16 && all(key, encoded)) && fields.all(|field| all(field, number))
    };
    all(tag, |byte| byte.is_ascii_digit())
        && all(suite, named)
        && keys.split(|&byte| byte == b';').all(is_one)
        && parameters.iter().all(|word| {
            all(word, |byte| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'=')
            })
        })
}

/// Whether a line is an attribute with a value that none of those is: a text may stand there, with or without a mark.
fn is_other_attribute(line: &[u8]) -> bool {
    let [b'a', b'=', rest @ ..] = line else {
        return false;
    };
    memchr(b':', rest).is_some_and(|end| !NUMBERED.contains(&&rest[..end]))
}

/// Whether a line at the head of a part of a multipart body may hold text. Its type has quotes and semicolons.
fn is_head(line: &[u8]) -> bool {
    let named = |name: &[u8]| {
        line.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    let quiet = |byte: &u8| !MARKS[usize::from(*byte)] || matches!(byte, b'"' | b'\'' | b'<' | b'>');
    line.contains(&b':') && !(named(b"content-type") && line.iter().all(quiet))
}

/// The name of a line as fields show it, "line" for what is no line of a description.
pub fn name_of(line: &[u8]) -> &'static str {
    const NAMES: [&str; 26] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v",
        "w", "x", "y", "z",
    ];
    match line {
        [name @ b'a'..=b'z', b'=', ..] => NAMES[usize::from(name - b'a')],
        _ => "line",
    }
}

/// What of a line is read as one value, since a reader takes it out as one: behind the name of an attribute or the method of a key
/// (RFC 8866 5.12, 5.13), and the user of an origin whose other five fields are numbers and names (5.2). Else `span`, the line
/// behind its own name.
pub fn value_of(name: &str, span: Span, raw: &[u8]) -> Span {
    let line = span.of(raw);
    match name {
        "a" | "k" => {
            let token = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
            let end = line.iter().position(|byte| !token(byte)).unwrap_or_default();
            // A scheme belongs to what stands behind it.
            match line[end..] {
                [b':', next, ..] if end > 0 && next != b'/' => Span {
                    start: span.start + end + 1,
                    ..span
                },
                _ => span,
            }
        }
        "o" => {
            let mut end = line.len();
            for _ in 0..5 {
                let Some(space) = line[..end].iter().rposition(|&byte| byte == b' ') else {
                    return span;
                };
                let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-');
                if !line[space + 1..end].iter().all(plain) {
                    return span;
                }
                end = space;
            }
            Span {
                end: span.start + end,
                ..span
            }
        }
        _ => span,
    }
}

/// Calls `line` with the span of each line of `raw[start..]` that may hold text, line end not included: the lines for people,
/// attributes whose values are not known to be numbers and tokens, others where a mark stands that code needs, and what is no line of a description. Lines end with CRLF, LF or, as lax readers
/// have it, CR. Without `loose` only lines count that begin with a letter and an equals sign, and those at the head of a part of a
/// multipart body, between its boundary and an empty line (RFC 2046 5.1).
///
/// Of more than `MAX_LINES` comes one more span, which begins with the line after them and holds all that follows, so that
/// nothing is left unread.
pub fn text_lines(raw: &[u8], start: usize, loose: bool, mut line: impl FnMut(Span)) {
    let mut at = start;
    let mut found = 0;
    let mut heads = false;
    while at < raw.len() {
        let end = memchr2(b'\n', b'\r', &raw[at..]).map_or(raw.len(), |end| at + end);
        let text = &raw[at..end];
        let named = matches!(text, [b'a'..=b'z', b'=', ..]);
        let wanted = if named {
            has_text(text[0]) || (is_marked(text) || is_other_attribute(text)) && !is_encoded(text)
        } else if loose {
            !text.is_empty()
        } else {
            // The line end of an empty line is what stands before it; of CR and LF the second is no line.
            heads = text.starts_with(b"--") || heads && !(text.is_empty() && raw[..at].ends_with(b"\n"));
            heads && is_head(text)
        };
        if wanted {
            if found == MAX_LINES {
                return line(Span {
                    start: at,
                    end: raw.len(),
                });
            }
            found += 1;
            line(Span { start: at, end });
        }
        at = end + 1;
    }
}

/// Whether a body begins as a session description does, whatever is said of it: v=0 is its first line (RFC 8866 5.1).
pub fn begins(body: &[u8]) -> bool {
    let body = super::grammar::trim_start(body, super::grammar::is_any_space);
    body.starts_with(b"v=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(raw: &[u8]) -> Vec<&[u8]> {
        let mut found = Vec::new();
        text_lines(raw, 0, true, |span| found.push(span.of(raw)));
        found
    }

    #[test]
    fn lines_with_text_are_found_whatever_ends_them() {
        assert_eq!(
            lines(b"v=0\r\no=- 1\r\ns=a call\nt=0 0\ri=x\r\ne="),
            [&b"o=- 1"[..], b"s=a call", b"i=x", b"e="]
        );
        assert_eq!(lines(b""), Vec::<&[u8]>::new());
    }

    #[test]
    fn other_lines_are_found_where_code_may_stand_in_them() {
        let raw = b"v=0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=fmtp:101 0-15\r\na=x:`id`\r\nc=IN IP4 $(id)\r\n`id`\r\n";
        assert_eq!(lines(raw), [&b"a=x:`id`"[..], b"c=IN IP4 $(id)", b"`id`"]);
        let mut found = 0;
        text_lines(raw, 0, false, |_| found += 1);
        assert_eq!(found, 2);
        assert_eq!(
            lines(b"a=control:a /etc\r\na=control:../a\r\na=control:a/b.c\r\na=x"),
            [&b"a=control:a /etc"[..], b"a=control:../a"]
        );
    }

    #[test]
    fn keys_and_identities_are_not_read_and_what_only_looks_like_one_is() {
        let key = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
        for (line, read) in [
            (format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1:4"), 0),
            (
                format!("a=crypto:12 AEAD_AES_256_GCM {key}|2^20|1:4;{key}|2^31|2:4 KDR=20 UNENCRYPTED_SRTCP"),
                0,
            ),
            (format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1:4 $(id)"), 1),
            (format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}|id"), 1),
            (format!("a=crypto:1 x;id {key}|1"), 1),
            ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:id|1".to_owned(), 1),
            ("a=crypto:1|id".to_owned(), 1),
            (
                "a=identity:eyJpZHAiOnsiZG9tYWluIjoiZXhhbXBsZS5vcmciLCJwcm90b2NvbCI6ImJvZ3VzIn19".to_owned(),
                0,
            ),
            ("a=identity:/etc/passwd".to_owned(), 1),
            ("a=identity:/etc/asterisk/sip/conf".to_owned(), 1),
            ("a=identity:-oProxyCommand=id".to_owned(), 1),
            ("a=identity:eyJpZHAiOnsiZG9tYWlu;reboot".to_owned(), 1),
        ] {
            assert_eq!(lines(line.as_bytes()).len(), read, "{line}");
        }
    }

    #[test]
    fn a_value_is_what_a_reader_takes_out() {
        for (line, value) in [
            ("a=x-label:=1+1", "=1+1"),
            ("a=x-label:http://a", "http://a"),
            ("a=file:///etc", "file:///etc"),
            ("a=$(id):x", "$(id):x"),
            ("a=:x", ":x"),
            ("a=x:", "x:"),
            ("k=clear:x", "x"),
            ("o=bob & x 1 2 IN IP4 192.0.2.4", "bob & x"),
            ("o=- 1 2 IN IP6 2001:db8::1", "-"),
            ("o=x 1 2 IN IP4 $(id)", "x 1 2 IN IP4 $(id)"),
            ("o=x 1 2", "x 1 2"),
            ("s=x:y", "x:y"),
        ] {
            let span = Span {
                start: 2,
                end: line.len(),
            };
            let found = value_of(name_of(line.as_bytes()), span, line.as_bytes());
            assert_eq!(found.of(line.as_bytes()), value.as_bytes(), "{line}");
        }
    }

    #[test]
    fn the_heads_of_parts_are_read() {
        let mut found = Vec::new();
        let raw = b"--b\r\nContent-Type: a/b;c=\"d\"\r\nContent-Description: x\r\n\r\nno: head\r\ns=x\r\n--b--\r\n";
        text_lines(raw, 0, false, |span| found.push(span.of(raw)));
        assert_eq!(found, [&b"Content-Description: x"[..], b"s=x"]);
    }

    #[test]
    fn what_is_beyond_the_bound_comes_as_one() {
        let raw = b"s=x\n".repeat(80);
        let found = lines(&raw);
        assert_eq!(found.len(), MAX_LINES + 1);
        assert_eq!(found[MAX_LINES].len(), 16 * 4);
    }
}
