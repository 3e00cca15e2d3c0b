//! Splits header values into the parts that rules are scoped to, with their place in the raw message.
//!
//! Every byte of every header value is in at least one part, so that nothing is left unread: what does not follow its
//! header's grammar comes as `PartKind::Text`.

mod address;
mod body;
mod entries;
mod parameters;
pub mod plain;

use std::ops::ControlFlow;

use memchr::{memchr, memchr2};

use super::grammar::{self, is_space, trimmed};
use super::model::{Field, Header, Last, Message, Part, PartKind, Span};
use super::names::{self, HeaderName};
use entries::Entries;
use plain::Rest;

/// Bytes of a message that are split into entries and parameters. Real messages have at most 4,000 in such headers; what is
/// beyond is read as it stands.
pub const MAX_SPLIT: usize = 6144;

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

/// Who is given the parts.
pub trait Sink<'a> {
    /// Takes one part, in message order, and says whether to go on.
    fn part(&mut self, part: Part<'a>) -> ControlFlow<()>;

    /// Whether parts that are words, numbers and hosts alone need not be given: `value` is what they stand in together.
    fn passes(&mut self, header: HeaderName<'a>, value: &'a [u8]) -> bool {
        let _ = (header, value);
        false
    }
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
            let header = HeaderName::known(names::REQUEST_URI);
            match self.plain(message.uri, header, plain::uri) {
                Some(rest) => self.user(rest, field(names::REQUEST_URI), header)?,
                None => self.uri(message.uri, field(names::REQUEST_URI), header)?,
            }
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

    /// What is left of an address of the plainest form once all else is passed; its spans are the message's.
    fn plain(&mut self, span: Span, header: HeaderName<'a>, read: fn(&[u8]) -> Option<Rest>) -> Option<Rest> {
        let value = &self.raw[span.start..span.end];
        let mut rest = read(value)?;
        if let Some(user) = &mut rest.user {
            user.start += span.start;
            user.end += span.start;
        }
        self.sink.passes(header, &value[rest.from..]).then_some(rest)
    }

    /// Gives what is left of such an address.
    fn user(&mut self, rest: Rest, field: Field<'a>, header: HeaderName<'a>) -> Flow {
        let Some(user) = rest.user else {
            return GO_ON;
        };
        let field = Field {
            last: Last::Named("userinfo"),
            ..field
        };
        self.give(PartKind::Userinfo, field, header, user, false)
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
}

/// Whether a comment begins in a value and ends.
fn comments(value: &[u8]) -> bool {
    let begins = memchr::memmem::find(value, b"/*");
    begins.is_some_and(|at| memchr::memmem::find(&value[at + 2..], b"*/").is_some())
}

/// All parts of a message: first line, header fields in their order, lines of the body.
pub fn each<'a>(message: &Message<'a>, bodies: Bodies, part: impl FnMut(Part<'a>) -> Flow) {
    let mut splitter = Splitter::new(message.raw, part);
    // What is called may end it early; there is nothing to tell then.
    let _ = all(&mut splitter, message, bodies);
}

fn all<'a>(splitter: &mut Splitter<'a, impl Sink<'a>>, message: &Message<'a>, bodies: Bodies) -> Flow {
    splitter.first_line(message)?;
    let mut numbers = Numbers::default();
    for (at, header) in message.headers.iter().enumerate() {
        let number = numbers.next(message, at);
        splitter.name(header)?;
        splitter.value(header, number)?;
    }
    splitter.body(message, bodies)
}

/// Numbers header fields of one name, from 0; there are 128 fields at the most.
pub struct Numbers([u16; names::COUNT]);

impl Default for Numbers {
    fn default() -> Self {
        Self([0; names::COUNT])
    }
}

impl Numbers {
    /// Which of the header fields of its name the one at that place is; to be asked of each in turn.
    pub fn next(&mut self, message: &Message<'_>, at: usize) -> u16 {
        let name = message.headers[at].name;
        if name.id == names::OTHER {
            let before = message.headers[..at].iter();
            return before.filter(|header| header.name.same(name)).count() as u16;
        }
        let known = &mut self.0[usize::from(name.id)];
        *known += 1;
        *known - 1
    }
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
            ["contact=<script>", "contact=script", "contact=alert(1)</script>"]
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
