//! Virtual patches: messages that are known to crash or deceive the software behind, told by their shape.
//!
//! A patch is a list of cases; a case holds where all its tests do. They are looked at only where the policy says that such a
//! version stands behind: what crashes one program is legal for others. Time is linear in the message for each patch.

use std::borrow::Cow;
use std::fmt;

use crate::detect::Finding;
use crate::detect::literals;
use crate::detect::pattern::Pattern;
use crate::sip::{Header, Kind, Message, PartKind, Span, names};

/// The family of its findings.
pub const FAMILY: &str = "patch";

/// Bytes of a value that a finding shows.
const MAX_EXCERPT: usize = 256;

/// Where a test looks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The values of a header field, by its number in `names`, or by its name where it has none.
    Header(u8, String),
    RequestUri,
    /// Each header field as it was sent, its name included.
    Line,
    Body,
}

/// What a test asks of a place.
#[derive(Debug)]
enum Ask {
    /// A value has the pattern in it.
    Has(Pattern),
    /// A value does not.
    Lacks(Pattern),
    /// A value has more bytes than these.
    Longer(usize),
    /// There are more of them than these.
    More(usize),
    /// There is none.
    Absent,
}

#[derive(Debug)]
struct Test {
    place: Place,
    ask: Ask,
}

/// One test as the file of patches writes it: place, question (`has`, `lacks`, `longer`, `more`, `absent`), pattern or number.
pub type TestSpec = (String, String, String);

/// One patch as the file of patches writes it.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    pub id: String,
    pub reason: String,
    /// 5 refuses; 0 is only recorded.
    pub score: u8,
    /// Empty: any.
    pub methods: Vec<String>,
    pub cases: Vec<Vec<TestSpec>>,
}

#[derive(Debug)]
struct Patch {
    id: String,
    reason: String,
    score: u8,
    methods: Vec<String>,
    cases: Vec<Vec<Test>>,
}

/// The patches that are on. Immutable; made before Kamailio forks.
#[derive(Debug, Default)]
pub struct Patches(Vec<Patch>);

/// A patch that can't be used: which one, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Test {
    fn new((place, question, value): &TestSpec) -> Result<Self, String> {
        let place = match place.as_str() {
            "request_uri" => Place::RequestUri,
            "line" => Place::Line,
            "body" => Place::Body,
            name => Place::Header(names::number_of(name), name.to_ascii_lowercase()),
        };
        let pattern = || -> Result<Pattern, String> { Pattern::new(&literals::parse(value)?) };
        let number = || -> Result<usize, String> { value.parse().map_err(|_| format!("{value:?} is no number")) };
        let ask = match question.as_str() {
            "has" => Ask::Has(pattern()?),
            "lacks" => Ask::Lacks(pattern()?),
            "longer" => Ask::Longer(number()?),
            "more" => Ask::More(number()?),
            "absent" => Ask::Absent,
            other => {
                return Err(format!(
                    "{other:?} is no question; allowed: has, lacks, longer, more, absent"
                ));
            }
        };
        Ok(Self { place, ask })
    }

    /// The value that speaks for it, where it holds; empty where the count does.
    fn holds<'m>(&self, message: &'m Message<'_>) -> Option<&'m [u8]> {
        match &self.ask {
            Ask::More(number) => (self.values(message).count() > *number).then_some(b""),
            Ask::Absent => self.values(message).next().is_none().then_some(b""),
            Ask::Has(pattern) => self.values(message).find(|value| pattern.is_match(value)),
            Ask::Lacks(pattern) => self.values(message).find(|value| !pattern.is_match(value)),
            Ask::Longer(bytes) => self.values(message).find(|value| value.len() > *bytes),
        }
    }

    fn values<'s, 'm: 's>(&'s self, message: &'m Message<'_>) -> Box<dyn Iterator<Item = &'m [u8]> + 's> {
        match &self.place {
            Place::RequestUri => Box::new(std::iter::once(message.uri.of(message.raw))),
            Place::Body => Box::new(std::iter::once(message.body()).filter(|body| !body.is_empty())),
            Place::Line => Box::new(
                message
                    .headers
                    .iter()
                    .map(|header| &message.raw[header.start..header.end]),
            ),
            Place::Header(id, name) => Box::new(
                (message.headers.iter().filter(move |header| is_named(header, *id, name)))
                    .map(|header| header.value.as_ref()),
            ),
        }
    }

    fn field(&self) -> &str {
        match &self.place {
            Place::Header(_, name) => name,
            Place::RequestUri => "request_uri",
            Place::Line => "header",
            Place::Body => "body",
        }
    }

    /// Digest secrets never reach the log.
    fn is_secret(&self) -> bool {
        let named = |secret| matches!(&self.place, Place::Header(id, _) if *id == secret);
        self.place == Place::Line || named(names::AUTHORIZATION) || named(names::PROXY_AUTHORIZATION)
    }
}

fn is_named(header: &Header<'_>, id: u8, name: &str) -> bool {
    header.name.id == id && (id != names::OTHER || header.raw_name.eq_ignore_ascii_case(name.as_bytes()))
}

impl Patches {
    /// Fails with the patch's id and what is wrong with it.
    pub fn new(specs: Vec<Spec>) -> Result<Self, Error> {
        specs.into_iter().map(Patch::new).collect::<Result<_, _>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a request would do to the software behind, one finding for each patch.
    pub fn find<'a>(&'a self, message: &Message<'_>) -> Vec<Finding<'a>> {
        if self.0.is_empty() || message.kind != Kind::Request {
            return Vec::new();
        }
        self.0.iter().filter_map(|patch| patch.find(message)).collect()
    }
}

impl Patch {
    fn new(spec: Spec) -> Result<Self, Error> {
        let cases = (spec.cases.iter())
            .map(|case| case.iter().map(Test::new).collect())
            .collect::<Result<_, String>>()
            .map_err(|error| Error(format!("{}: {error}", spec.id)))?;
        Ok(Self {
            id: spec.id,
            reason: spec.reason,
            score: spec.score,
            methods: spec.methods,
            cases,
        })
    }

    fn find<'a>(&'a self, message: &Message<'_>) -> Option<Finding<'a>> {
        if !self.methods.is_empty() && !self.methods.iter().any(|method| method.as_bytes() == message.method) {
            return None;
        }
        let (test, value) = self.cases.iter().find_map(|case| {
            let mut shown = None;
            for test in case {
                let value = test.holds(message)?;
                shown.get_or_insert((test, value));
            }
            shown
        })?;
        let excerpt = if test.is_secret() {
            b""
        } else {
            &value[..value.len().min(MAX_EXCERPT)]
        };
        Some(Finding {
            rule: &self.id,
            family: FAMILY,
            score: self.score,
            field: Cow::Borrowed(test.field()),
            reason: Cow::Borrowed(&self.reason),
            excerpt: Cow::Owned(excerpt.to_vec()),
            span: Span::default(),
            part: PartKind::Text,
            removable: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::parse;

    fn patches(methods: &[&str], cases: &[&[(&str, &str, &str)]]) -> Result<Patches, Error> {
        let test = |&(place, ask, value): &(&str, &str, &str)| (place.into(), ask.into(), value.into());
        Patches::new(vec![Spec {
            id: "patch-one".into(),
            reason: "crashes".into(),
            score: 5,
            methods: methods.iter().map(|&method| method.into()).collect(),
            cases: cases.iter().map(|case| case.iter().map(test).collect()).collect(),
        }])
    }

    fn found(patches: &Patches, raw: &str) -> Vec<(String, String)> {
        let message = parse(raw.as_bytes());
        let found = patches.find(&message);
        let shown = |finding: &Finding<'_>| {
            let excerpt = String::from_utf8_lossy(&finding.excerpt).into_owned();
            (finding.field.clone().into_owned(), excerpt)
        };
        found.iter().map(shown).collect()
    }

    const RAW: &str =
        "INFO sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nX-Code : 12345\r\nAccept: a\r\nAccept: b\r\n\r\nm=image 0\r\n";

    #[test]
    fn all_tests_of_one_case_must_hold() {
        let shown = |cases: &[&[(&str, &str, &str)]]| found(&patches(&["INFO"], cases).unwrap(), RAW);
        assert_eq!(
            shown(&[&[("x-code", "longer", "4")]]),
            [("x-code".into(), "12345".into())]
        );
        assert!(shown(&[&[("x-code", "longer", "5")]]).is_empty());
        assert_eq!(shown(&[&[("accept", "more", "1")]]), [("accept".into(), String::new())]);
        assert!(shown(&[&[("accept", "more", "2")]]).is_empty());
        assert_eq!(shown(&[&[("via", "lacks", "branch=")]]).len(), 1);
        assert_eq!(shown(&[&[("contact", "absent", "")]]).len(), 1);
        assert!(shown(&[&[("accept", "absent", "")]]).is_empty());
        let both: &[(&str, &str, &str)] = &[("body", "has", "^m=image 0"), ("body", "lacks", r"(?m)^c=")];
        assert_eq!(shown(&[both])[0].0, "body");
        let none: &[(&str, &str, &str)] = &[("body", "has", "^m=image 0"), ("body", "has", r"(?m)^c=")];
        assert!(shown(&[none]).is_empty());
        assert_eq!(shown(&[none, both]).len(), 1);
        // What stands in a line may be a secret.
        assert_eq!(
            shown(&[&[("line", "has", r"^[^:\s]+\s+:")]]),
            [("header".into(), String::new())]
        );
    }

    #[test]
    fn another_method_and_a_reply_are_left_alone() {
        let one = patches(&["MESSAGE"], &[&[("via", "longer", "1")]]).unwrap();
        assert!(found(&one, RAW).is_empty());
        let any = patches(&[], &[&[("via", "longer", "1")]]).unwrap();
        assert_eq!(found(&any, RAW).len(), 1);
        assert!(found(&any, &RAW.replacen("INFO sip:a@b SIP/2.0", "SIP/2.0 200 OK", 1)).is_empty());
    }

    #[test]
    fn what_can_t_be_used_is_named() {
        let error = |test| patches(&[], &[&[test]]).unwrap_err().to_string();
        assert_eq!(error(("via", "longer", "x")), "patch-one: \"x\" is no number");
        assert!(error(("via", "like", "x")).contains("is no question"));
        assert!(error(("via", "has", "(")).starts_with("patch-one: "));
    }
}
