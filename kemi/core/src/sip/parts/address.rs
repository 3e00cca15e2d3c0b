//! The parts of an address: display name, URI and what a URI holds.

use memchr::{memchr, memrchr};

use super::{Flow, GO_ON, Sink, Splitter, plain};
use crate::sip::grammar::{self, closing_quote, is_space, trimmed};
use crate::sip::model::{Field, Last, PartKind, Span};
use crate::sip::names::HeaderName;

/// URI headers read one by one.
const MAX_URI_HEADERS: usize = 16;

impl<'a, S: Sink<'a>> Splitter<'a, S> {
    pub(super) fn address(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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
        if let Some(rest) = self.plain(Span { start: low, end }, header, plain::bracketed) {
            return self.user(rest, field, header);
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

    pub(super) fn uri(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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
            if bracketed && !begins_uri(&raw[start..end]) {
                // No URI, so the brackets may belong to it: markup. Who takes a URI out of them is shown the rest.
                let markup = Span {
                    start: start - 1,
                    end: end + 1,
                };
                self.give(PartKind::Text, field, header, markup, false)?;
            }
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

    pub(super) fn uri_headers(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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

    pub(super) fn hostport(&mut self, span: Span, field: Field<'a>, header: HeaderName<'a>) -> Flow {
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

fn trimmed_end(raw: &[u8], span: Span) -> Span {
    Span {
        end: span.start + grammar::trim_end(span.of(raw), is_space).len(),
        ..span
    }
}
