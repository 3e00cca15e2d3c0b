//! Splits header values into the parts that rules are scoped to, with their place in the raw message.
//!
//! Every byte of every header value is in at least one part, so that nothing is left unread: what does not follow its
//! header's grammar comes as `PartKind::Text`.

use std::ops::ControlFlow;

use memchr::{memchr, memchr2, memrchr};

use super::grammar::{self, closing_quote, is_space, trimmed};
use super::model::{Field, Header, Last, Message, Part, PartKind, Span};
use super::names::{self, HeaderName};
use super::sdp::{self, text_lines};

/// Entries read of one comma-joined header value.
const MAX_ENTRIES: usize = 64;

/// Texts of an XML body that are given one by one; what follows comes as one.
const MAX_TEXTS: usize = 256;

/// Bytes of a message that are split into entries and parameters. Real messages have at most 4,000 in such headers; what is
/// beyond is read as it stands.
pub const MAX_SPLIT: usize = 6144;

/// URI headers read one by one.
const MAX_URI_HEADERS: usize = 16;

/// RFC 3261 8.1.1.7: branches begin with this cookie; what follows it is the client's own.
const COOKIE: &[u8] = b"z9hG4bK";

type Flow = ControlFlow<()>;
const GO_ON: Flow = ControlFlow::Continue(());

/// Which bodies are read; see the policy's `[detection]`.
#[derive(Clone, Copy, Debug)]
pub struct Bodies {
    /// The lines of session descriptions, whatever the Content-Type says.
    pub sdp: bool,
    /// The text of MESSAGE and INFO, and of other bodies that are text.
    pub text: bool,
}

/// Whether a field's value comes apart by a grammar.
pub fn is_structured(name: HeaderName<'_>) -> bool {
    name.has(names::ADDRESS | names::PARAMETERS | names::CREDENTIALS)
        || matches!(name.id, names::VIA | names::CONTENT_TYPE | names::CALL_ID)
}

/// Whether white space or a bracket stands where a URI does, or white space among parameters: nobody sends that, and between
/// words it makes a command of them.
pub fn is_odd_inside(name: HeaderName<'_>, value: &[u8]) -> bool {
    if !name.has(names::ADDRESS) {
        let tail = memchr(b';', value).filter(|_| name.has(names::ROUTED));
        return tail.is_some_and(|at| memchr(b' ', grammar::trim_end(&value[at..], is_space)).is_some());
    }
    let mut rest = value;
    while let Some(low) = memchr(b'<', rest) {
        let inner = &rest[low + 1..];
        let high = memchr(b'>', inner).unwrap_or(inner.len());
        if memchr2(b' ', b'<', &inner[..high]).is_some() {
            return true;
        }
        rest = &inner[high..];
    }
    memchr(b' ', grammar::trim(rest, is_space)).is_some()
}

/// Of a token's marks (25.1) what a payload needs: an escape, or a quote before a word.
fn has_token_marks(value: &[u8]) -> bool {
    value.iter().enumerate().any(|(at, byte)| match byte {
        b'%' => value
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        b'\'' | b'`' => value
            .get(at + 1)
            .is_some_and(|&next| next.is_ascii_alphanumeric() || next == b'-'),
        _ => false,
    })
}

/// A per cent sign that is not the escaped `#` of dial strings.
fn has_branch_marks(value: &[u8]) -> bool {
    memchr::memchr_iter(b'%', value).any(|at| match value.get(at + 1) {
        Some(b'2') => value.get(at + 2).is_some_and(|&next| next != b'3'),
        Some(byte) => byte.is_ascii_hexdigit(),
        None => false,
    })
}

/// Who is given the parts.
pub trait Sink<'a> {
    /// Takes one part, in message order, and says whether to go on.
    fn part(&mut self, part: Part<'a>) -> ControlFlow<()>;
}

impl<'a, F: FnMut(Part<'a>) -> ControlFlow<()>> Sink<'a> for F {
    fn part(&mut self, part: Part<'a>) -> ControlFlow<()> {
        self(part)
    }
}

/// Reads the parts of one message one after the other.
pub struct Splitter<'a, S> {
    raw: &'a [u8],
    pub sink: S,
    left: usize,
}

impl<'a, S: Sink<'a>> Splitter<'a, S> {
    pub fn new(raw: &'a [u8], sink: S) -> Self {
        Self {
            raw,
            sink,
            left: MAX_SPLIT,
        }
    }

    fn give(&mut self, kind: PartKind, field: Field<'a>, header: HeaderName<'a>, span: Span, quoted: bool) -> Flow {
        let value = &self.raw[span.start..span.end];
        self.sink.part(Part {
            kind,
            field,
            header,
            span,
            value,
            quoted,
        })
    }

    /// Method, Request-URI or reason phrase.
    pub fn first_line(&mut self, message: &Message<'a>) -> Flow {
        let field = |id| Field {
            header: HeaderName::known(id),
            index: 0,
            entry: 0,
            last: Last::Whole,
        };
        let value = message.method;
        if !value.is_empty() {
            let header = HeaderName::known(names::METHOD);
            let mut part = Part {
                kind: PartKind::Method,
                field: field(names::METHOD),
                header,
                span: Span::default(),
                value,
                quoted: false,
            };
            self.sink.part(part)?;
            if has_token_marks(value) {
                part.kind = PartKind::Parameter;
                self.sink.part(part)?;
            }
        }
        if !message.uri.is_empty() {
            self.uri(
                message.uri,
                field(names::REQUEST_URI),
                HeaderName::known(names::REQUEST_URI),
            )?;
        }
        if !message.phrase.is_empty() {
            let header = HeaderName::known(names::REASON_PHRASE);
            self.give(
                PartKind::Text,
                field(names::REASON_PHRASE),
                header,
                message.phrase,
                false,
            )?;
        }
        GO_ON
    }

    /// A header field's name, where it is no ordinary one: a legal name can carry an escaped payload to whatever stores
    /// header fields by name. True where it is no token, or long or odd.
    pub fn name(&mut self, header: &Header<'a>) -> ControlFlow<(), bool> {
        if header.name.id != names::OTHER {
            return ControlFlow::Continue(false);
        }
        let value = header.raw_name;
        let field = Field {
            header: HeaderName::known(names::HEADER_NAME),
            index: 0,
            entry: 0,
            last: Last::Whole,
        };
        let span = Span {
            start: header.start,
            end: header.start,
        };
        let part = if !grammar::is_token(value) {
            Part {
                kind: PartKind::Name,
                field,
                header: header.name,
                span,
                value,
                quoted: false,
            }
        } else if value.len() > names::MAX_NAME || has_token_marks(value) {
            Part {
                kind: PartKind::Parameter,
                field,
                header: field.header,
                span,
                value,
                quoted: false,
            }
        } else {
            return ControlFlow::Continue(false);
        };
        self.sink.part(part)?;
        ControlFlow::Continue(true)
    }

    /// A header field's value. `index`: which of the fields of that name, from 0.
    pub fn value(&mut self, header: &Header<'a>, index: u16) -> Flow {
        let field = Field {
            header: header.name,
            index,
            entry: 0,
            last: Last::Whole,
        };
        let size = header.end - header.value_start;
        let fits = size <= self.left;
        self.left = self.left.saturating_sub(size);
        let span = trimmed(
            self.raw,
            Span {
                start: header.value_start,
                end: header.end,
            },
        );
        if span.is_empty() {
            return GO_ON;
        }
        if !fits || !is_structured(header.name) {
            return self.give(PartKind::Text, field, header.name, span, false);
        }
        if header.name.has(names::ADDRESS) {
            self.entries(span, field, header.name, Self::address)?;
            // A comment that begins in a name may end in the URI, and take out what stands between.
            let value = span.of(self.raw);
            if memchr(b'<', value).is_some_and(|low| low > 0) && comments(value) {
                let field = Field {
                    last: Last::Named("value"),
                    ..field
                };
                return self.give(PartKind::Text, field, header.name, span, false);
            }
            GO_ON
        } else if header.name.id == names::VIA {
            self.entries(span, field, header.name, Self::via)
        } else if header.name.has(names::PARAMETERS) {
            self.entries(span, field, header.name, Self::parameterized)
        } else if header.name.has(names::CREDENTIALS) {
            self.credentials(span, field, header.name)
        } else if header.name.id == names::CONTENT_TYPE {
            self.content_type(span, field, header.name)
        } else {
            self.call_id(span, field, header.name)
        }
    }

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
                    flow = self.give(PartKind::Body, field, header, span, false);
                }
            });
            return flow;
        }
        if bodies.text && !begins && (matches!(message.method, b"MESSAGE" | b"INFO") || is_text(kind)) {
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
    fn xml(&mut self, start: usize) -> Flow {
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

    fn entries(
        &mut self,
        span: Span,
        field: Field<'a>,
        header: HeaderName<'a>,
        read: fn(&mut Self, Span, Field<'a>, HeaderName<'a>) -> Flow,
    ) -> Flow {
        for (number, entry) in Entries::of(self.raw, span, b',').enumerate() {
            // There are 64 at the most.
            read(
                self,
                entry,
                Field {
                    entry: number as u16,
                    ..field
                },
                header,
            )?;
        }
        GO_ON
    }

    fn rest(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        let span = trimmed(self.raw, span);
        if span.is_empty() {
            return GO_ON;
        }
        self.give(PartKind::Text, field, header, span, false)
    }

    fn address(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        // name-addr = [ display-name ] LAQUOT addr-spec RAQUOT;  display-name = *(token LWS) / quoted-string
        let raw = self.raw;
        let Span { start, end } = span;
        let find = |byte, from: usize| memchr(byte, &raw[from.min(end)..end]).map(|at| from + at);
        let name = Field {
            last: Last::Named("display_name"),
            ..field
        };
        let mut between = Span::default();
        let low = if raw[start] == b'"' {
            let Some(close) = closing_quote(raw, start + 1, end) else {
                return self.give(PartKind::Text, field, header, span, false);
            };
            self.give(
                PartKind::DisplayName,
                name,
                header,
                Span {
                    start: start + 1,
                    end: close,
                },
                true,
            )?;
            let low = find(b'<', close + 1);
            between = Span {
                start: close + 1,
                end: low.unwrap_or(end),
            };
            low
        } else {
            let low = find(b'<', start);
            if let Some(low) = low {
                let shown = trimmed(raw, Span { start, end: low });
                if !shown.is_empty() {
                    self.give(PartKind::DisplayName, name, header, shown, false)?;
                }
            }
            low
        };
        let Some(low) = low else {
            // addr-spec without brackets: what follows a semicolon are header parameters (20.10, 20.20)
            if !between.is_empty() {
                return self.rest(between, field, header);
            }
            let semicolon = find(b';', start);
            let uri = trimmed(
                raw,
                Span {
                    start,
                    end: semicolon.unwrap_or(end),
                },
            );
            self.uri(uri, field, header)?;
            return match semicolon {
                Some(semicolon) => self.tail(
                    Span {
                        start: semicolon + 1,
                        end,
                    },
                    field,
                    header,
                    PartKind::Parameter,
                ),
                None => GO_ON,
            };
        };
        if !between.is_empty() {
            self.rest(between, field, header)?;
        }
        let Some(high) = find(b'>', low) else {
            return self.give(PartKind::Text, field, header, Span { start: low, end }, false);
        };
        self.uri(
            Span {
                start: low + 1,
                end: high,
            },
            field,
            header,
        )?;
        let rest = trimmed(raw, Span { start: high + 1, end });
        if rest.is_empty() {
            GO_ON
        } else if raw[rest.start] == b';' {
            self.tail(
                Span {
                    start: rest.start + 1,
                    end: rest.end,
                },
                field,
                header,
                PartKind::Parameter,
            )
        } else {
            self.rest(rest, field, header)
        }
    }

    fn uri(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        // SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ]   (25.1)
        // telephone-subscriber stands in for userinfo in a tel URI (RFC 3966).
        let raw = self.raw;
        let span = trimmed(raw, span);
        let Span { start, end } = span;
        let find = |byte, from: usize, to: usize| memchr(byte, &raw[from.min(to)..to]).map(|at| from + at);
        let colon = find(b':', start, end).filter(|colon| colon - start <= 8);
        let scheme = colon.map_or(&b""[..], |colon| &raw[start..colon]);
        let named = |last| Field {
            last: Last::Named(last),
            ..field
        };
        let is_sip = scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips");
        let Some(colon) = colon.filter(|_| is_sip || scheme.eq_ignore_ascii_case(b"tel")) else {
            if span.is_empty() {
                return GO_ON;
            }
            let bracketed = start > 0 && raw[start - 1] == b'<' && end < raw.len();
            // No URI, so the brackets may belong to it: markup.
            let span = if bracketed && !begins_uri(&raw[start..end]) {
                Span {
                    start: start - 1,
                    end: end + 1,
                }
            } else {
                span
            };
            return self.give(PartKind::Text, field, header, span, false);
        };
        let mut position = colon + 1;
        if !is_sip {
            let semicolon = find(b';', position, end);
            let user = Span {
                start: position,
                end: semicolon.unwrap_or(end),
            };
            self.give(PartKind::Userinfo, named("userinfo"), header, user, false)?;
            return match semicolon {
                Some(at) => self.parameters(Span { start: at + 1, end }, field, header, PartKind::UriParameter),
                None => GO_ON,
            };
        }
        let mut quoting = false;
        // The user part may hold ";", "?" and "/" (25.1), so it ends at the last "@": an earlier one has no place in any
        // part and is read as belonging to the user.
        if let Some(at) = memrchr(b'@', &raw[position..end]).map(|at| position + at) {
            let split = find(b':', position, at);
            let user = Span {
                start: position,
                end: split.unwrap_or(at),
            };
            self.give(PartKind::Userinfo, named("userinfo"), header, user, false)?;
            if let Some(split) = split {
                self.give(
                    PartKind::Password,
                    named("password"),
                    header,
                    Span {
                        start: split + 1,
                        end: at,
                    },
                    false,
                )?;
                let both = Span {
                    start: position,
                    end: at,
                };
                self.give(PartKind::Password, named("user_password"), header, both, false)?;
            }
            quoting = raw[position..at].iter().any(|&byte| {
                matches!(
                    byte,
                    b'\'' | b'"' | b'`' | b'(' | b'|' | b'&' | b'$' | b'<' | b'{' | b'*' | b'%'
                )
            });
            position = at + 1;
        }
        let question = find(b'?', position, end);
        let stop = question.unwrap_or(end);
        let semicolon = find(b';', position, stop);
        self.hostport(
            Span {
                start: position,
                end: semicolon.unwrap_or(stop),
            },
            field,
            header,
        )?;
        if let Some(at) = semicolon {
            self.tail(
                Span {
                    start: at + 1,
                    end: stop,
                },
                field,
                header,
                PartKind::UriParameter,
            )?;
        }
        if let Some(at) = question {
            let whole = Span { start: at + 1, end };
            self.give(PartKind::UriHeader, named("uri_header"), header, whole, false)?;
            self.uri_headers(whole, named("uri_header"), header)?;
        }
        if quoting && (semicolon.is_some() || question.is_some()) {
            // What a user quotes or comments out may go on behind the host: a host's variables show it in one piece.
            return self.give(PartKind::UriParameter, named("uri"), header, span, false);
        }
        GO_ON
    }

    fn uri_headers(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        // headers = "?" header *( "&" header );  header = hname "=" hvalue   (25.1)
        let raw = self.raw;
        let Span { mut start, end } = span;
        for _ in 0..MAX_URI_HEADERS {
            let ampersand = memchr(b'&', &raw[start..end]).map(|at| start + at);
            let stop = ampersand.unwrap_or(end);
            if let Some(equals) = memchr(b'=', &raw[start..stop]).map(|at| start + at) {
                if equals + 1 < stop {
                    self.give(
                        PartKind::UriHeader,
                        field,
                        header,
                        Span {
                            start: equals + 1,
                            end: stop,
                        },
                        false,
                    )?;
                }
            }
            match ampersand {
                Some(at) => start = at + 1,
                None => break,
            }
        }
        GO_ON
    }

    fn hostport(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        let raw = self.raw;
        let Span { start, end } = trimmed(raw, span);
        if start >= end {
            return GO_ON;
        }
        let bracket = if raw[start] == b'[' {
            memchr(b']', &raw[start..end]).unwrap_or(0)
        } else {
            0
        };
        let colon = memchr(b':', &raw[start + bracket..end]).map(|at| start + bracket + at);
        let named = |last| Field {
            last: Last::Named(last),
            ..field
        };
        let host = trimmed_end(
            raw,
            Span {
                start,
                end: colon.unwrap_or(end),
            },
        );
        self.give(PartKind::Host, named("host"), header, host, false)?;
        match colon {
            Some(colon) => {
                let port = trimmed(raw, Span { start: colon + 1, end });
                self.give(PartKind::Port, named("port"), header, port, false)
            }
            None => GO_ON,
        }
    }

    /// Header parameters, one by one; where a mark stands that no parameter has, also as a whole: what a semicolon takes
    /// apart may mean something only together.
    fn tail(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>, kind: PartKind) -> Flow {
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

    fn parameters(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>, kind: PartKind) -> Flow {
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

    fn parameterized(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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
    fn together(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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

    fn via(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        // via-parm = sent-protocol LWS sent-by *( SEMI via-params )   (25.1)
        let raw = self.raw;
        let Span { start, end } = span;
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

    fn credentials(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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

    fn content_type(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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

    fn call_id(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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

/// Whether a comment begins in a value and ends.
fn comments(value: &[u8]) -> bool {
    let begins = memchr::memmem::find(value, b"/*");
    begins.is_some_and(|at| memchr::memmem::find(&value[at + 2..], b"*/").is_some())
}

const fn is_dash(byte: u8) -> bool {
    byte == b'-'
}

fn trimmed_end(raw: &[u8], span: Span) -> Span {
    Span {
        end: span.start + grammar::trim_end(span.of(raw), is_space).len(),
        ..span
    }
}

fn is_named(kind: &[u8], word: &[u8]) -> bool {
    kind.windows(word.len()).any(|found| found.eq_ignore_ascii_case(word))
}

fn is_multipart(kind: &[u8]) -> bool {
    kind.get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
}

/// Whether a body of that content type is text for people or programs, of whatever method.
fn is_text(kind: &[u8]) -> bool {
    // Markup in XML is no sign of anything; what its reader would fetch is looked for apart.
    !is_named(kind, b"xml")
        && ["text/", "message/", "json", "dtmf", "x-www-form"]
            .iter()
            .any(|word| is_named(kind, word.as_bytes()))
}

/// scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (25.1), or no scheme at all, as careless clients send it
fn begins_uri(value: &[u8]) -> bool {
    let value = grammar::trim_start(value, is_space);
    if value.first().is_some_and(u8::is_ascii_alphabetic) {
        let scheme = value.iter().take_while(|&&byte| grammar::is_scheme(byte)).count();
        let colon = grammar::trim_start(&value[scheme..], is_space);
        if colon.first() == Some(&b':') {
            return true;
        }
    }
    let inner = |byte: u8| !grammar::is_any_space(byte) && !matches!(byte, b'/' | b'<' | b'>' | b'"' | b'\'' | b'=');
    let word = value.iter().take_while(|&&byte| inner(byte)).count();
    // One byte at least stands before the mark.
    value[..word].iter().skip(1).any(|byte| matches!(byte, b'@' | b'.'))
}

/// The entries between separators that stand outside quotes and angle brackets, outer space trimmed.
struct Entries<'a> {
    raw: &'a [u8],
    at: usize,
    end: usize,
    separator: u8,
    count: usize,
    whole: bool,
    done: bool,
}

impl<'a> Entries<'a> {
    fn of(raw: &'a [u8], span: Span, separator: u8) -> Self {
        let whole = memchr(separator, span.of(raw)).is_none();
        Self {
            raw,
            at: span.start,
            end: span.end,
            separator,
            count: 0,
            whole,
            done: false,
        }
    }

    /// Where the entry that begins at `at` ends, and whether another one follows.
    fn entry(&self) -> (usize, bool) {
        if self.count + 1 >= MAX_ENTRIES {
            return (self.end, false);
        }
        let (mut quoted, mut angle) = (false, false);
        let mut at = self.at;
        while at < self.end {
            let byte = self.raw[at];
            if quoted {
                match byte {
                    b'\\' => at += 1,
                    b'"' => quoted = false,
                    _ => {}
                }
            } else if byte == self.separator {
                if !angle {
                    return (at, true);
                }
            } else {
                match byte {
                    b'"' => quoted = true,
                    b'<' => angle = true,
                    b'>' => angle = false,
                    _ => {}
                }
            }
            at += 1;
        }
        (self.end, false)
    }
}

impl Iterator for Entries<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        while !self.done {
            if self.whole {
                self.done = true;
                return Some(Span {
                    start: self.at,
                    end: self.end,
                });
            }
            let (stop, more) = self.entry();
            let span = trimmed(
                self.raw,
                Span {
                    start: self.at,
                    end: stop,
                },
            );
            self.count += 1;
            self.at = stop + 1;
            self.done = !more;
            if !span.is_empty() {
                return Some(span);
            }
        }
        None
    }
}

/// All parts of a message: first line, header fields in their order, lines of the body.
pub fn each<'a>(message: &Message<'a>, bodies: Bodies, part: impl FnMut(Part<'a>) -> Flow) {
    let mut splitter = Splitter::new(message.raw, part);
    // What is called may end it early; there is nothing to tell then.
    let _ = all(&mut splitter, message, bodies);
}

fn all<'a>(splitter: &mut Splitter<'a, impl Sink<'a>>, message: &Message<'a>, bodies: Bodies) -> Flow {
    splitter.first_line(message)?;
    for (at, header) in message.headers.iter().enumerate() {
        splitter.name(header)?;
        splitter.value(header, index_of(message, at))?;
    }
    splitter.body(message, bodies)
}

/// Which of the header fields of its name a field is, from 0; there are 128 at the most.
pub fn index_of(message: &Message<'_>, at: usize) -> u16 {
    let name = message.headers[at].name;
    message.headers[..at]
        .iter()
        .filter(|header| header.name.same(name))
        .count() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::parse;

    fn parts(raw: &str) -> Vec<(String, String)> {
        let message = parse(raw.as_bytes());
        let mut found = Vec::new();
        each(&message, Bodies { sdp: true, text: true }, |part| {
            found.push((part.field.to_string(), String::from_utf8_lossy(part.value).into_owned()));
            GO_ON
        });
        found
    }

    fn shown(raw: &str) -> Vec<String> {
        parts(raw)
            .into_iter()
            .map(|(field, value)| format!("{field}={value}"))
            .collect()
    }

    #[test]
    fn an_address_comes_apart() {
        let raw = "X\nFrom: \"A \\\" B\" <sip:al%20ice:pw@h:5060;transport=udp?Subject=x&Route=y>;tag=1\n\n";
        assert_eq!(
            shown(raw)[1..],
            [
                "from.display_name=A \\\" B",
                "from.userinfo=al%20ice",
                "from.password=pw",
                "from.user_password=al%20ice:pw",
                "from.host=h",
                "from.port=5060",
                "from.transport=udp",
                "from.uri_header=Subject=x&Route=y",
                "from.uri_header=x",
                "from.uri_header=y",
                "from.uri=sip:al%20ice:pw@h:5060;transport=udp?Subject=x&Route=y",
                "from.tag=1",
            ]
        );
    }

    #[test]
    fn an_address_that_is_only_a_name_is_read_with_its_quotes_too() {
        let found = shown("X\nTo: \" or sleep(5)=\"\n\n");
        assert_eq!(found[1], "to.display_name= or sleep(5)=");
        assert!(found.contains(&"to=\" or sleep(5)=\"".to_owned()), "{found:?}");
    }

    #[test]
    fn entries_and_fields_are_numbered() {
        let raw = "X\nVia: SIP/2.0/UDP a;branch=z9hG4bKx, SIP/2.0/TCP [::1]:5060\nv: SIP/2.0/UDP c\n\n";
        let found = shown(raw);
        for part in [
            "via.branch=z9hG4bKx",
            "via.1.host=[::1]",
            "via.1.port=5060",
            "via[1].host=c",
        ] {
            assert!(found.iter().any(|one| one == part), "{part}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_read_as_it_stands() {
        assert_eq!(
            shown("X\nContact: <script>alert(1)</script>\n\n")[1..],
            ["contact=<script>", "contact=alert(1)</script>"]
        );
        assert_eq!(shown("X\nFrom: \"open <sip:a@b>\n\n")[1..], ["from=\"open <sip:a@b>"]);
        assert_eq!(shown("X\nContact: *\n\n")[1..], ["contact=*"]);
    }

    #[test]
    fn a_parameter_s_name_that_hides_a_payload_is_read_with_its_value() {
        let raw = "X\nFrom: <sip:a@b;%27x=1>;tag=1;%27%20or%201%3d1--=1\n\n";
        let found = shown(raw);
        for part in ["from.uri_parameter=%27x=1", "from.parameter=%27%20or%201%3d1--=1"] {
            assert!(found.iter().any(|one| one == part), "{part}: {found:?}");
        }
    }

    #[test]
    fn credentials_come_apart() {
        let raw = "X\nAuthorization: Digest username=\"a, b\", response=\"00\"\n\n";
        assert_eq!(
            shown(raw)[1..],
            [
                "authorization.scheme=Digest",
                "authorization.username=a, b",
                "authorization.response=00"
            ]
        );
    }
}
