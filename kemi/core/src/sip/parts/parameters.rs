//! The parts of values with parameters: those behind an address, Via, credentials, Content-Type; and of a Call-ID.

use memchr::{memchr, memrchr};

use super::entries::Entries;
use super::{Flow, GO_ON, Sink, Splitter, has_token_marks, plain};
use crate::sip::grammar::{self, closing_quote, is_space, trimmed};
use crate::sip::model::{Field, Last, PartKind, Span};
use crate::sip::names::{self, HeaderName};

/// RFC 3261 8.1.1.7: branches begin with this cookie; what follows it is the client's own.
const COOKIE: &[u8] = b"z9hG4bK";

impl<'a, S: Sink<'a>> Splitter<'a, S> {
    /// Header parameters, one by one; where a mark stands that no parameter has, also as a whole: what a semicolon takes
    /// apart may mean something only together.
    pub(super) fn tail(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>, kind: PartKind) -> Flow {
        self.parameters(span, field, header, kind)?;
        let tail = span.of(self.raw);
        let together = tail.contains(&b';')
            && !tail.contains(&b'"')
            && tail
                .iter()
                .any(|byte| matches!(byte, b'\'' | b'`' | b'(' | b'|' | b'&'));
        if together {
            let field = Field {
                last: Last::Named(match kind {
                    PartKind::UriParameter => "uri_parameters",
                    _ => "parameters",
                }),
                ..field
            };
            return self.give(kind, field, header, span, false);
        }
        GO_ON
    }

    pub(super) fn parameters(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>, kind: PartKind) -> Flow {
        // generic-param = token [ EQUAL gen-value ];  gen-value = token / host / quoted-string   (25.1)
        let raw = self.raw;
        for Span {
            start: mut low,
            end: high,
        } in Entries::of(raw, span, b';')
        {
            let equals = memchr(b'=', &raw[low..high]).map(|at| low + at);
            let name = grammar::trim(&raw[low..equals.unwrap_or(high)], is_space);
            let is_token = grammar::is_token(name);
            // A name that is a token may carry an escaped payload: then it is read with its value.
            let Some(equals) = equals.filter(|_| is_token && name.len() <= 64 && !has_token_marks(name)) else {
                if !is_token && span.start > 0 {
                    // No parameter: what a shell or database would take for a command after a semicolon.
                    let from = span.start - 1;
                    low = memrchr(b';', &raw[from..low]).map_or(low, |at| from + at);
                }
                let field = Field {
                    last: Last::Named(kind.as_str()),
                    ..field
                };
                self.give(kind, field, header, Span { start: low, end: high }, false)?;
                continue;
            };
            let mut value = trimmed(
                raw,
                Span {
                    start: equals + 1,
                    end: high,
                },
            );
            let size = value.end - value.start;
            let quoted = size >= 2 && raw[value.start] == b'"' && raw[value.end - 1] == b'"';
            if quoted {
                value = Span {
                    start: value.start + 1,
                    end: value.end - 1,
                };
            } else if header.id == names::VIA
                && size >= COOKIE.len()
                && raw[value.start..value.start + COOKIE.len()].eq_ignore_ascii_case(COOKIE)
                && has_branch_marks(value.of(raw))
            {
                value.start += COOKIE.len();
            }
            let field = Field {
                last: Last::Parameter(name),
                ..field
            };
            self.give(kind, field, header, value, quoted)?;
        }
        GO_ON
    }

    pub(super) fn parameterized(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        // value *( SEMI generic-param );  warning-value = warn-code SP warn-agent SP warn-text, a quoted-string   (25.1)
        let raw = self.raw;
        let Span { start, end } = span;
        let quote = memchr(b'"', &raw[start..end]).map(|at| start + at);
        let semicolon = memchr(b';', &raw[start..quote.unwrap_or(end)]).map(|at| start + at);
        if let (None, Some(quote)) = (semicolon, quote) {
            if let Some(close) = closing_quote(raw, quote + 1, end) {
                self.rest(Span { start, end: quote }, field, header)?;
                let text = Field {
                    last: Last::Named("text"),
                    ..field
                };
                self.give(
                    PartKind::Parameter,
                    text,
                    header,
                    Span {
                        start: quote + 1,
                        end: close,
                    },
                    true,
                )?;
                return self.rest(Span { start: close + 1, end }, field, header);
            }
        }
        self.rest(
            Span {
                start,
                end: semicolon.unwrap_or(end),
            },
            field,
            header,
        )?;
        match semicolon {
            Some(at) => {
                self.parameters(Span { start: at + 1, end }, field, header, PartKind::Parameter)?;
                self.together(Span { start, end }, field, header)
            }
            None => GO_ON,
        }
    }

    /// A whole value with its parameters, where a mark stands behind its first semicolon that no parameter has.
    pub(super) fn together(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        let whole = span.of(self.raw);
        let marked = whole.contains(&b';')
            && !whole.contains(&b'"')
            && whole
                .iter()
                .any(|byte| matches!(byte, b'\'' | b'`' | b'(' | b'|' | b'&'));
        if marked {
            let field = Field {
                last: Last::Named("parameters"),
                ..field
            };
            return self.give(PartKind::Parameter, field, header, span, false);
        }
        GO_ON
    }

    pub(super) fn via(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        // via-parm = sent-protocol LWS sent-by *( SEMI via-params )   (25.1)
        let raw = self.raw;
        let Span { start, end } = span;
        if let Some(sent_by) = plain::via(&raw[start..end]) {
            if self.sink.passes(header, &raw[start + sent_by..end]) {
                return GO_ON;
            }
        }
        let semicolon = memchr(b';', &raw[start..end]).map(|at| start + at);
        let stop = semicolon.unwrap_or(end);
        let mut position = memrchr(b'/', &raw[start..stop]).map_or(start, |at| start + at + 1);
        while position < stop && is_space(raw[position]) {
            position += 1;
        }
        while position < stop && !is_space(raw[position]) {
            position += 1;
        }
        if position >= stop {
            // No sent-by after a protocol: read as a whole.
            self.give(PartKind::Text, field, header, Span { start, end: stop }, false)?;
        } else {
            let protocol = Field {
                last: Last::Named("protocol"),
                ..field
            };
            self.give(PartKind::Text, protocol, header, Span { start, end: position }, false)?;
            self.hostport(
                Span {
                    start: position,
                    end: stop,
                },
                field,
                header,
            )?;
        }
        match semicolon {
            Some(at) => self.tail(Span { start: at + 1, end }, field, header, PartKind::Parameter),
            None => GO_ON,
        }
    }

    pub(super) fn credentials(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        // credentials = ("Digest" LWS digest-response) / other-response   (25.1)
        let raw = self.raw;
        let Span { start, end } = span;
        let mut space = start + raw[start..end].iter().take_while(|&&byte| !is_space(byte)).count();
        if raw[start..space].contains(&b'=') {
            // Authentication-Info has no scheme
            space = start;
        } else {
            let scheme = Field {
                last: Last::Named("scheme"),
                ..field
            };
            self.give(PartKind::Text, scheme, header, Span { start, end: space }, false)?;
        }
        for entry in Entries::of(raw, Span { start: space, end }, b',') {
            self.parameters(entry, field, header, PartKind::Parameter)?;
        }
        GO_ON
    }

    pub(super) fn content_type(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        let raw = self.raw;
        let Span { start, end } = span;
        let Some(found) = grammar::boundary(&raw[start..end]) else {
            return self.give(PartKind::Text, field, header, span, false);
        };
        // Dashes round a boundary are its own, and no comment of SQL.
        let (low, high) = (start + found.start, start + found.end);
        let before = start + grammar::trim_end(&raw[start..low], is_dash).len();
        let after = end - grammar::trim_start(&raw[high..end], is_dash).len();
        let boundary = Field {
            last: Last::Named("boundary"),
            ..field
        };
        for (field, start, end) in [(field, start, before), (boundary, low, high), (field, after, end)] {
            if start < end {
                self.give(PartKind::Text, field, header, Span { start, end }, false)?;
            }
        }
        GO_ON
    }

    pub(super) fn call_id(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        // callid = word [ "@" word ]   (25.1)
        self.give(PartKind::Text, field, header, span, false)?;
        let Some(at) = memchr(b'@', span.of(self.raw)).filter(|&at| at > 0) else {
            return GO_ON;
        };
        let word = Span {
            start: span.start,
            end: span.start + at,
        };
        // What no word has and a shell separates commands by; per cent signs, behind which it may hide.
        if word
            .of(self.raw)
            .iter()
            .any(|byte| matches!(byte, b';' | b'|' | b'&' | b'$' | b'%'))
        {
            return self.give(PartKind::Text, field, header, word, false);
        }
        GO_ON
    }
}

/// A per cent sign that is not the escaped `#` of dial strings.
fn has_branch_marks(value: &[u8]) -> bool {
    memchr::memchr_iter(b'%', value).any(|at| match value.get(at + 1) {
        Some(b'2') => value.get(at + 2).is_some_and(|&next| next != b'3'),
        Some(byte) => byte.is_ascii_hexdigit(),
        None => false,
    })
}

const fn is_dash(byte: u8) -> bool {
    byte == b'-'
}
