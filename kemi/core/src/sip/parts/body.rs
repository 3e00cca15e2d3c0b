//! The parts of a body: lines of session descriptions, texts, and what stands between the tags of XML.

use memchr::memchr;

use super::{Bodies, Flow, GO_ON, Sink, Splitter};
use crate::sip::grammar::trimmed;
use crate::sip::model::{Field, Last, Message, PartKind, Span};
use crate::sip::names::{self, HeaderName};
use crate::sip::sdp::{self, text_lines};

/// Texts of an XML body that are given one by one; what follows comes as one.
const MAX_TEXTS: usize = 256;

impl<'a, S: Sink<'a>> Splitter<'a, S> {
    /// The lines of a body that hold text.
    pub fn body(&mut self, message: &Message<'a>, bodies: Bodies) -> Flow {
        if message.body().is_empty() {
            return GO_ON;
        }
        let kind = message
            .get(names::CONTENT_TYPE)
            .map_or(&b""[..], |header| &header.value);
        let header = HeaderName::known(names::BODY);
        let begins = sdp::begins(message.body());
        let loose = begins || is_named(kind, b"sdp");
        if bodies.sdp && (loose || is_multipart(kind)) {
            let mut flow = GO_ON;
            let raw = self.raw;
            text_lines(raw, message.body_start, loose, |line| {
                if flow.is_continue() {
                    let name = sdp::name_of(line.of(raw));
                    let field = Field {
                        header: HeaderName::known(names::SDP),
                        index: 0,
                        entry: 0,
                        last: Last::Named(name),
                    };
                    let named = if name == "line" { 0 } else { 2 };
                    let span = Span {
                        start: line.start + named,
                        end: line.end,
                    };
                    let span = sdp::value_of(name, span, raw);
                    flow = self.give(PartKind::Body, field, header, span, false);
                }
            });
            return flow;
        }
        let of_text =
            matches!(message.method, b"MESSAGE" | b"INFO") && !is_markup(kind, message.body()) || is_text(kind);
        if bodies.text && !begins && of_text {
            let field = Field {
                header,
                index: 0,
                entry: 0,
                last: Last::Whole,
            };
            let span = Span {
                start: message.body_start,
                end: self.raw.len(),
            };
            return self.give(PartKind::Body, field, header, span, false);
        }
        if bodies.text && is_named(kind, b"xml") {
            return self.xml(message.body_start);
        }
        GO_ON
    }

    /// The texts between the tags of XML, and the tags' values in quotes: markup itself is no sign of anything.
    pub(super) fn xml(&mut self, start: usize) -> Flow {
        let header = HeaderName::known(names::BODY);
        let field = Field {
            header,
            index: 0,
            entry: 0,
            last: Last::Named("text"),
        };
        let raw = self.raw;
        let (mut at, mut given, mut in_tag) = (start, 0, false);
        while at < raw.len() {
            let ends = |byte: &u8| matches!(byte, b'<' | b'>') || in_tag && matches!(byte, b'"' | b'\'');
            let end = raw[at..].iter().position(ends).map_or(raw.len(), |end| at + end);
            let span = trimmed(raw, Span { start: at, end });
            let mut wanted = !in_tag && !span.is_empty();
            at = end + 1;
            match raw.get(end) {
                Some(b'<') => in_tag = true,
                Some(b'>') => in_tag = false,
                Some(&quote) => {
                    let close = memchr(quote, &raw[at..]).map_or(raw.len(), |close| at + close);
                    let inside = trimmed(raw, Span { start: at, end: close });
                    if given >= MAX_TEXTS {
                        let end = raw.len();
                        return self.give(PartKind::Body, field, header, Span { end, ..inside }, false);
                    }
                    if !inside.is_empty() {
                        given += 1;
                        self.give(PartKind::Body, field, header, inside, false)?;
                    }
                    at = close + 1;
                    wanted = false;
                }
                None => {}
            }
            if wanted {
                if given >= MAX_TEXTS {
                    let end = raw.len();
                    return self.give(PartKind::Body, field, header, Span { end, ..span }, false);
                }
                given += 1;
                self.give(PartKind::Body, field, header, span, false)?;
            }
        }
        GO_ON
    }
}

fn is_named(kind: &[u8], word: &[u8]) -> bool {
    kind.windows(word.len()).any(|found| found.eq_ignore_ascii_case(word))
}

fn is_multipart(kind: &[u8]) -> bool {
    kind.get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
}

/// Whether a body is a document of XML that nobody is shown as it stands: its media type ends so, and it begins with a tag.
fn is_markup(kind: &[u8], body: &[u8]) -> bool {
    let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let ends = |end: &[u8]| {
        kind.len() > end.len() && kind[kind.len() - end.len()..].eq_ignore_ascii_case(end) && !is_named(kind, b"html")
    };
    (ends(b"/xml") || ends(b"+xml")) && body.trim_ascii_start().first() == Some(&b'<')
}

/// Whether a body of that content type is text for people or programs, of whatever method.
fn is_text(kind: &[u8]) -> bool {
    // Markup in XML is no sign of anything; what its reader would fetch is looked for apart.
    !is_named(kind, b"xml")
        && ["text/", "message/", "json", "dtmf", "x-www-form"]
            .iter()
            .any(|word| is_named(kind, word.as_bytes()))
}
