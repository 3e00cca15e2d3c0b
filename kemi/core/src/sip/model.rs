//! What the reader hands on: messages, header fields, parts, and where they stand.

use std::borrow::Cow;
use std::fmt;

pub use super::names::HeaderName;

/// Where something stands in the raw message: from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// What a datagram or framed message turned out to be, by its first line (RFC 3261 7.1, 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Reply,
    Malformed,
}

/// Where in a SIP message a value stands; rules are scoped to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PartKind {
    Method,
    DisplayName,
    Userinfo,
    Password,
    Host,
    Port,
    UriParameter,
    UriHeader,
    Parameter,
    Text,
    Name,
    Body,
}

impl PartKind {
    /// As rules and records write it: `display_name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::DisplayName => "display_name",
            Self::Userinfo => "userinfo",
            Self::Password => "password",
            Self::Host => "host",
            Self::Port => "port",
            Self::UriParameter => "uri_parameter",
            Self::UriHeader => "uri_header",
            Self::Parameter => "parameter",
            Self::Text => "text",
            Self::Name => "name",
            Self::Body => "body",
        }
    }
}

/// What stands last in a field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last<'a> {
    /// Nothing: the header field as a whole.
    Whole,
    /// `.userinfo`, `.host`, …
    Named(&'static str),
    /// A parameter's own name, as sent; shown in lower case.
    Parameter(&'a [u8]),
}

/// A part's name as the log shows it, written out only when asked for: `from.display_name`, `via[1].host`, `contact.2.userinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub header: HeaderName<'a>,
    /// Which of the header fields of that name, from 0.
    pub index: u16,
    /// Which entry of a comma-joined value, from 0.
    pub entry: u16,
    pub last: Last<'a>,
}

/// One header field. `value` is unfolded, without outer space; spans are of the raw message.
#[derive(Clone, Debug)]
pub struct Header<'a> {
    pub name: HeaderName<'a>,
    pub raw_name: &'a [u8],
    pub value: Cow<'a, [u8]>,
    /// Of the name's first byte.
    pub start: usize,
    /// Of the first byte after the colon.
    pub value_start: usize,
    /// Of the line end, which does not belong to it.
    pub end: usize,
    pub folded: bool,
}

/// One value inside a header field, the first line or the body, still escaped; quotes do not belong to it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub kind: PartKind,
    pub field: Field<'a>,
    /// The header field's name; `request_uri`, `method`, `reason_phrase`, `body` for those.
    pub header: HeaderName<'a>,
    pub span: Span,
    pub value: &'a [u8],
    pub quoted: bool,
}

/// Something in the framing or the header set that SIP does not allow, or no sane client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect<'a> {
    pub rule: &'static str,
    pub field: Cow<'a, str>,
    pub reason: Cow<'static, str>,
    pub excerpt: Cow<'a, [u8]>,
}

/// A SIP message as far as it could be read. Never an error: what is wrong is in `defects`.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub raw: &'a [u8],
    pub kind: Kind,
    /// Of a reply: the CSeq's. At most 64 bytes.
    pub method: &'a [u8],
    /// Of a reply, else 0.
    pub status: u16,
    /// The Request-URI's span; empty in a reply.
    pub uri: Span,
    /// A reply's reason phrase.
    pub phrase: Span,
    pub headers: Vec<Header<'a>>,
    pub body_start: usize,
    pub defects: Vec<Defect<'a>>,
}

impl Span {
    pub fn of(self, raw: &[u8]) -> &[u8] {
        &raw[self.start..self.end]
    }

    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header.text())?;
        if self.index > 0 {
            write!(f, "[{}]", self.index)?;
        }
        if self.entry > 0 {
            write!(f, ".{}", self.entry)?;
        }
        match self.last {
            Last::Whole => Ok(()),
            Last::Named(name) => write!(f, ".{name}"),
            Last::Parameter(name) => write!(f, ".{}", String::from_utf8_lossy(name).to_ascii_lowercase()),
        }
    }
}

impl<'a> Message<'a> {
    /// The first header field of that number in `names`.
    pub fn get(&self, id: u8) -> Option<&Header<'a>> {
        self.headers.iter().find(|header| header.name.id == id)
    }

    /// All header fields of that number, in order.
    pub fn all(&self, id: u8) -> impl Iterator<Item = &Header<'a>> {
        self.headers.iter().filter(move |header| header.name.id == id)
    }

    /// What follows the empty line.
    pub fn body(&self) -> &'a [u8] {
        &self.raw[self.body_start..]
    }
}
