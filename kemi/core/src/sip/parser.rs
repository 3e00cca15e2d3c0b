//! Reads bytes into a `Message`: bounded, tolerant, and silent about errors, which become defects.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr, memmem, memrchr2};

use super::grammar;
use super::model::{Defect, Header, Kind, Message, Span};
use super::names::{self, HeaderName};

/// Header fields read of one message. Real messages have 10 to 40; the rest is a defect.
pub const MAX_HEADERS: usize = 128;

/// Of a reply, which can't be refused, so many are; what follows them is read as the value of the last.
pub const MAX_REPLY_HEADERS: usize = 512;

/// Folds of one header value. Clients fold a long list once an entry, if at all.
pub const MAX_FOLDS: usize = 64;

static BARE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\n\n"));
static FULL: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\n\r\n"));

/// Reads one message.
///
/// Never fails. Takes time linear in `raw`. Lines end with CRLF or LF, as Kamailio takes them; leading empty lines are
/// skipped (RFC 3261 7.5).
pub fn parse(raw: &[u8]) -> Message<'_> {
    let start = raw
        .iter()
        .position(|&byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(raw.len());
    let line_end = memchr(b'\n', &raw[start..]).map_or(raw.len(), |at| start + at);
    let first = grammar::trim_end(&raw[start..line_end], |byte| byte == b'\r');
    let mut message = first_line(raw, first, start);
    let head_end = match header_end(raw, start.max(line_end.saturating_sub(1))) {
        Some((head_end, body_start)) => {
            message.body_start = body_start;
            head_end
        }
        None => {
            let reason = "no empty line ends the header section";
            message
                .defects
                .push(defect("header-unfinished", "message", reason, b""));
            raw.len()
        }
    };
    headers(&mut message, line_end + 1, head_end);
    if message.kind == Kind::Reply {
        message.method = message.get(names::CSEQ).map_or(b"", |header| reply_method(raw, header));
    }
    message
}

/// The method of a reply's CSeq. Of a folded value it is the same word where it stands.
fn reply_method<'a>(raw: &'a [u8], header: &Header<'a>) -> &'a [u8] {
    let Some((_, method)) = grammar::cseq(&header.value) else {
        return b"";
    };
    let sent = grammar::trim_end(&raw[header.value_start..header.end], grammar::is_space);
    &sent[sent.len() - method.len().min(sent.len())..]
}

fn defect<'a>(rule: &'static str, field: &'static str, reason: &'static str, excerpt: &'a [u8]) -> Defect<'a> {
    Defect {
        rule,
        field: Cow::Borrowed(field),
        reason: Cow::Borrowed(reason),
        excerpt: Cow::Borrowed(excerpt),
    }
}

/// Where the last header line ends and where the body begins.
fn header_end(raw: &[u8], start: usize) -> Option<(usize, usize)> {
    let rest = &raw[start.min(raw.len())..];
    let full = FULL.find(rest);
    // What is behind the one need not be searched for the other. The line end that the one begins with may be the empty
    // line of the other.
    let bare = BARE.find(&rest[..full.map_or(rest.len(), |full| full + 1)]);
    let (position, length) = match (bare, full) {
        (Some(bare), _) => (start + bare, 2),
        (None, Some(full)) => (start + full, 3),
        (None, None) => return None,
    };
    let end = if position > start && raw[position - 1] == b'\r' {
        position - 1
    } else {
        position
    };
    Some((end, position + length))
}

fn first_line<'a>(raw: &'a [u8], first: &'a [u8], start: usize) -> Message<'a> {
    let mut message = Message {
        raw,
        kind: Kind::Malformed,
        method: b"",
        status: 0,
        uri: Span::default(),
        phrase: Span::default(),
        headers: Vec::new(),
        body_start: raw.len(),
        defects: Vec::new(),
    };
    let line = grammar::trim_end(first, grammar::is_blank);
    if let Some((method, uri)) = request_line(line) {
        message.kind = Kind::Request;
        message.method = method;
        message.uri = Span {
            start: start + uri.start,
            end: start + uri.end,
        };
    } else if let Some((status, phrase)) = grammar::status_line(first) {
        message.kind = Kind::Reply;
        message.status = status;
        if phrase < first.len() {
            message.phrase = Span {
                start: start + phrase,
                end: start + first.len(),
            };
        }
    } else {
        let head = &first[..first.len().min(64)];
        let name = &head[..memchr(b' ', head).unwrap_or(head.len())];
        if grammar::is_token(name) {
            message.method = name;
        }
        let excerpt = &first[..first.len().min(128)];
        message.defects.push(defect(
            "first-line",
            "first_line",
            "neither a request line nor a status line",
            excerpt,
        ));
    }
    message
}

/// Request-Line = Method SP Request-URI SP SIP-Version CRLF   (7.1)
///
/// The method and where the URI stands. Tolerant: more than one space (RFC 4475 3.1.2.8 asks for a 400 or for tolerance), any
/// version.
fn request_line(line: &[u8]) -> Option<(&[u8], Span)> {
    let cut = memrchr2(b' ', b'\t', line)?;
    let method = grammar::method(line)?;
    if method >= cut || !grammar::is_version(&line[cut + 1..]) || memchr(b'\r', line).is_some() {
        return None;
    }
    let uri = grammar::trim(&line[method..cut], grammar::is_blank);
    let start = method + (cut - method - grammar::trim_start(&line[method..cut], grammar::is_blank).len());
    Some((
        &line[..method],
        Span {
            start,
            end: start + uri.len(),
        },
    ))
}

fn headers(message: &mut Message<'_>, mut position: usize, end: usize) {
    let raw = message.raw;
    let mut others = 0;
    // Room for as many as there are lines: of thousands that are looked at together, more would lie about unused.
    let head = raw.get(position..end).unwrap_or_default();
    message
        .headers
        .reserve_exact((memchr::memchr_iter(b'\n', head).count() + 1).min(MAX_HEADERS));
    while position < end {
        let lines = message.headers.len() + others;
        if lines == MAX_HEADERS {
            let reason = "more than 128 header fields";
            message.defects.push(defect("header-count", "message", reason, b""));
        }
        if lines >= MAX_HEADERS && message.kind != Kind::Reply {
            break;
        }
        if lines >= MAX_REPLY_HEADERS {
            let name = memchr(b':', &raw[position..end]).map_or(position, |at| position + at);
            let value_start = (name + 1).min(end);
            message.headers.push(Header {
                name: HeaderName::read(b"x-rest"),
                raw_name: b"x-rest",
                value: Cow::Borrowed(&raw[value_start..end]),
                start: position,
                value_start,
                end,
                folded: false,
            });
            break;
        }
        let mut stop = memchr(b'\n', &raw[position..end]).map_or(end, |at| position + at);
        let mut folded = false;
        // The value goes on in lines that begin with white space (7.3.1).
        while stop + 1 < end && grammar::is_blank(raw[stop + 1]) {
            folded = true;
            stop = memchr(b'\n', &raw[stop + 1..end]).map_or(end, |at| stop + 1 + at);
        }
        let next = stop + 1;
        if stop > position && raw[stop - 1] == b'\r' {
            stop -= 1;
        }
        let line = &raw[position..stop];
        match memchr(b':', line) {
            None => {
                // Not fields, and as dear to read.
                others += 1;
                if line.iter().any(|&byte| !grammar::is_space(byte)) {
                    let excerpt = &line[..line.len().min(128)];
                    let reason = "a header line without a colon";
                    message.defects.push(defect("header-colon", "message", reason, excerpt));
                }
            }
            Some(colon) => {
                let raw_name = grammar::trim_end(&line[..colon], grammar::is_space);
                let name = HeaderName::read(raw_name);
                let value = grammar::trim(&line[colon + 1..], |byte| matches!(byte, b' ' | b'\t' | b'\r'));
                let value = if folded {
                    unfolded(message, name, value)
                } else {
                    Cow::Borrowed(value)
                };
                message.headers.push(Header {
                    name,
                    raw_name,
                    value,
                    start: position,
                    value_start: position + colon + 1,
                    end: stop,
                    folded,
                });
            }
        }
        position = next;
    }
}

fn unfolded<'a>(message: &mut Message<'a>, name: HeaderName<'a>, value: &'a [u8]) -> Cow<'a, [u8]> {
    let folds = memchr::memchr_iter(b'\n', value).count();
    if folds > MAX_FOLDS {
        message.defects.push(Defect {
            rule: "header-folds",
            field: name.text(),
            reason: Cow::Owned(format!("{folds} folds, {MAX_FOLDS} are read")),
            excerpt: Cow::Borrowed(b""),
        });
        return Cow::Owned(
            value
                .iter()
                .copied()
                .filter(|byte| !matches!(byte, b'\r' | b'\n'))
                .collect(),
        );
    }
    match unfold(value) {
        Cow::Borrowed(value) => Cow::Borrowed(grammar::trim(value, grammar::is_space)),
        Cow::Owned(value) => Cow::Owned(grammar::trim(&value, grammar::is_space).to_vec()),
    }
}

/// A fold, with the space round it, becomes one space (RFC 3261 7.3.1).
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut lines = value.split(|&byte| byte == b'\n');
    let mut made = lines.next().unwrap_or_default().to_vec();
    // Where the line that was taken last begins: what stands before it stays.
    let mut line_start = 0;
    for line in lines {
        if line.first().copied().is_some_and(grammar::is_blank) {
            if made.len() > line_start && made.last() == Some(&b'\r') {
                made.pop();
            }
            while made.len() > line_start && made.last().copied().is_some_and(grammar::is_blank) {
                made.pop();
            }
            made.push(b' ');
            line_start = made.len();
            made.extend_from_slice(grammar::trim_start(line, grammar::is_blank));
        } else {
            made.push(b'\n');
            line_start = made.len();
            made.extend_from_slice(line);
        }
    }
    Cow::Owned(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let raw = b"\r\nINVITE  sip:bob@example.com SIP/2.0\r\nv: SIP/2.0/UDP host\r\nSubject: a\r\n  b\r\nContent-Length: 4\r\n\r\nbody";
        let message = parse(raw);
        assert_eq!((message.kind, message.method), (Kind::Request, &b"INVITE"[..]));
        assert_eq!(message.uri.of(raw), b"sip:bob@example.com");
        assert_eq!(message.body(), b"body");
        assert_eq!(
            message.get(names::VIA).map(|via| via.value.as_ref()),
            Some(&b"SIP/2.0/UDP host"[..])
        );
        let subject = message.get(names::SUBJECT).expect("a subject");
        assert!(subject.folded);
        assert_eq!(subject.value.as_ref(), b"a b");
        assert!(message.defects.is_empty());
    }

    #[test]
    fn a_reply_has_the_method_of_its_cseq() {
        let message = parse(b"SIP/2.0 486 Busy Here\nCSeq: 1 INVITE\n\n");
        assert_eq!(
            (message.kind, message.status, message.method),
            (Kind::Reply, 486, &b"INVITE"[..])
        );
        assert_eq!(message.phrase.of(message.raw), b"Busy Here");
    }

    #[test]
    fn what_is_no_message_has_defects_and_no_panic() {
        for raw in [
            &b""[..],
            b"\r\n",
            b"\n",
            b"x",
            b"GET / HTTP/1.1\r\nHost\r\n\r\n",
            b"SIP/2.0",
            b"A B SIP/2.0\n:\n \n",
            b"\r\n\r\n\r\n",
        ] {
            let message = parse(raw);
            assert!(!message.defects.is_empty(), "{raw:?}");
        }
    }

    #[test]
    fn the_first_empty_line_ends_the_header_section_whatever_ends_the_lines() {
        for (raw, body) in [
            (&b"X\r\na: b\r\n\r\nbody"[..], &b"body"[..]),
            (b"X\na: b\n\nbody", b"body"),
            (b"X\r\na: b\n\r\nbody", b"body"),
            (b"X\r\na: b\r\n\nbody", b"body"),
            (b"X\r\na: b\r\n\n\r\nbody", b"\r\nbody"),
            (b"X\r\na: b\r\n\r\n\nbody", b"\nbody"),
            (b"X\r\na: b\n\n\r\n\r\nbody", b"\r\n\r\nbody"),
        ] {
            let message = parse(raw);
            assert_eq!(message.body(), body, "{raw:?}");
            assert_eq!(message.headers.len(), 1, "{raw:?}");
        }
    }

    #[test]
    fn folds_and_lines_keep_their_bytes() {
        assert_eq!(unfold(b"a \r\n \t b\r\n\tc").as_ref(), b"a b c");
        assert_eq!(unfold(b"a\nb").as_ref(), b"a\nb");
        assert_eq!(unfold(b"a\n \n b").as_ref(), b"a  b");
    }
}
