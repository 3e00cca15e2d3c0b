//! One rule: what its file says of it, made ready to be tried on a part.

use std::fmt;

use super::glob;
use super::kinds::{self, Kinds};
use super::language::Language;
use super::literals::{self, Literal};
use super::pattern::Pattern;
use super::shape;
use crate::sip::{Part, PartKind, names};

/// One detection, as it is written in a rule file.
#[derive(Clone, Debug, Default)]
pub struct RuleSpec {
    pub id: String,
    pub family: String,
    pub pattern: String,
    /// What it weighs in text, and in parts whose grammar leaves no room for prose.
    pub score: u8,
    pub tight: u8,
    pub reason: String,
    /// Kinds of parts that it is for; empty: any but names and methods.
    pub parts: Vec<String>,
    /// Header fields that it is for; empty: any.
    pub headers: Vec<String>,
    pub paranoia: u8,
    /// Whether its confidence is `high`.
    pub sure: bool,
    /// Matched against the value as it was sent only, not against what it decodes to.
    pub as_sent: bool,
    /// Of a value that comes apart by a form of programs (`super::apart`), it counts in a single value only.
    pub apart: bool,
    /// What it weighs in a header field of no standard and in a text body, where it is not `score`.
    pub made: Option<u8>,
}

/// Where rules do not count: both may have wildcards, an empty field is every field.
#[derive(Clone, Debug)]
pub struct Exception {
    pub rule: String,
    pub field: String,
}

/// A rule that can't be used: which one, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub rule: String,
    pub reason: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.reason)
    }
}

impl std::error::Error for RuleError {}

/// A rule made ready.
#[derive(Debug)]
pub struct Rule {
    pub spec: RuleSpec,
    pattern: Pattern,
    /// Whether it is about code, which no plain value can be.
    pub is_code: bool,
    /// By `PartKind`.
    kinds: [bool; 12],
    /// Numbers of known header fields; names of others.
    header_ids: Vec<u8>,
    header_names: Vec<String>,
    /// Fields in which it does not count, as patterns; an empty one is every field.
    excepted: Vec<String>,
    literals: Vec<Literal>,
    /// Kinds of bytes that whatever it matches has, in each way in which it matches.
    pub ways: Vec<Kinds>,
    /// Bytes of the shortest text that it matches, at the least.
    pub shortest: usize,
}

fn kind_of(name: &str) -> Option<PartKind> {
    const KINDS: [PartKind; 12] = [
        PartKind::Method,
        PartKind::DisplayName,
        PartKind::Userinfo,
        PartKind::Password,
        PartKind::Host,
        PartKind::Port,
        PartKind::UriParameter,
        PartKind::UriHeader,
        PartKind::Parameter,
        PartKind::Text,
        PartKind::Name,
        PartKind::Body,
    ];
    KINDS.into_iter().find(|kind| kind.as_str() == name)
}

impl Rule {
    /// Fails where its pattern or its scope can't be read.
    pub fn new(spec: RuleSpec, exceptions: &[Exception]) -> Result<Self, RuleError> {
        let fails = |reason: String| RuleError {
            rule: spec.id.clone(),
            reason,
        };
        let hir = literals::parse(&spec.pattern).map_err(|error| fails(format!("pattern: {error}")))?;
        // Literals are looked for in lower case, and kinds of bytes are the same in either.
        let lower = literals::lower(&hir);
        let pattern = Pattern::new(&hir).map_err(|error| fails(format!("pattern: {error}")))?;
        let mut kinds = [spec.parts.is_empty(); 12];
        if spec.parts.is_empty() {
            kinds[PartKind::Name as usize] = false;
            kinds[PartKind::Method as usize] = false;
        }
        for name in &spec.parts {
            let kind = kind_of(name).ok_or_else(|| fails(format!("parts: {name:?} is no kind of part")))?;
            kinds[kind as usize] = true;
        }
        let (known, others): (Vec<_>, Vec<_>) = spec
            .headers
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .map(|name| (names::number_of(&name), name))
            .partition(|(id, _)| *id != names::OTHER);
        Ok(Self {
            pattern,
            kinds,
            header_ids: known.into_iter().map(|(id, _)| id).collect(),
            header_names: others.into_iter().map(|(_, name)| name).collect(),
            excepted: exceptions
                .iter()
                .filter(|exception| glob::matches(exception.rule.as_bytes(), spec.id.as_bytes()))
                .map(|exception| exception.field.clone())
                .collect(),
            literals: literals::of(&lower).unwrap_or_default(),
            is_code: shape::is_code(&spec.family),
            ways: kinds::ways(&lower),
            shortest: hir.properties().minimum_len().unwrap_or(0),
            spec,
        })
    }

    /// Whether the rule is meant for a part of that kind and header field.
    pub fn applies(&self, part: &Part<'_>) -> bool {
        self.kinds[part.kind as usize]
            && (self.spec.headers.is_empty()
                || if part.header.id == names::OTHER {
                    self.header_names.iter().any(|name| part.header.is(name))
                } else {
                    self.header_ids.contains(&part.header.id)
                })
    }

    /// Whether it is meant for parts of the kind with that number; of one that no kind has, for some part.
    pub fn takes(&self, kind: usize) -> bool {
        self.kinds.get(kind).copied().unwrap_or(true)
    }

    /// Whether it may be meant for some part of a header field with that number.
    pub fn may_be_for(&self, id: usize) -> bool {
        self.spec.headers.is_empty()
            || self.header_ids.iter().any(|&known| usize::from(known) == id)
            || id == usize::from(names::OTHER) && !self.header_names.is_empty()
    }

    /// Whether an exception says that it does not count in that part.
    pub fn excepted(&self, part: &Part<'_>) -> bool {
        !self.excepted.is_empty() && {
            let field = part.field.to_string();
            self.excepted
                .iter()
                .any(|pattern| pattern.is_empty() || glob::matches(pattern.as_bytes(), field.as_bytes()))
        }
    }

    pub fn is_match(&self, text: &[u8]) -> bool {
        self.pattern.is_match(text)
    }

    /// Whether it may match some text of a language. Most rules have no literal that stands in one, the rest are tried.
    pub fn may_match(&self, language: &Language) -> bool {
        let mut literals = self.literals.iter();
        (self.literals.is_empty() || literals.any(|literal| language.has(&literal.bytes)))
            && self.pattern.may_be_in(language)
    }

    /// Bytes of states that this process keeps of its pattern.
    pub fn held(&self) -> usize {
        self.pattern.held()
    }

    #[cfg(test)]
    pub fn begun_anew(&self) -> usize {
        self.pattern.begun_anew()
    }

    /// The literals one of which stands in whatever it matches; none: it is tried on everything.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }
}
