//! The rules, compiled: patterns in linear time, behind the literals that are derived from them.

use std::fmt;
use std::ops::ControlFlow;

use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;

use super::glob;
use super::literals::{self, Literal};
pub use super::prefilter::Hit;
use super::prefilter::Prefilter;
use super::shape;
use super::transforms::is_odd;
use crate::sip::{HeaderName, Part, PartKind, names};

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
}

/// Rules and their exceptions. Immutable; made before Kamailio forks.
#[derive(Debug)]
pub struct Ruleset {
    pub rules: Vec<Rule>,
    /// For whole header fields: without literals that hold a byte which is read in more ways than one, since a value with
    /// such a byte is decoded and searched by itself.
    plain: Prefilter,
    /// For values: all literals.
    all: Prefilter,
    /// Rules that no literal could be derived for.
    always: Vec<u16>,
}

/// The rules that can match in a value with these kinds of bytes.
pub fn able(owners: &[(u16, u64)], there: u64) -> impl Iterator<Item = u16> + '_ {
    owners
        .iter()
        .filter(move |(_, needs)| needs & !there == 0)
        .map(|&(rule, _)| rule)
}

/// Bytes that a pattern's automaton may take: the largest of ours takes a tenth.
const NFA_BYTES: usize = 1 << 20;

/// Bytes of states that a process keeps of a pattern it has tried. Beyond that it begins anew, so that hostile messages, which
/// reach ever new states of every rule, don't make a worker grow. Of 64 KiB a mix of hostile messages makes a dozen patterns
/// begin anew all the time, which is a third of all that such a message costs; 256 KiB save a twentieth more.
const CACHE_BYTES: usize = 128 << 10;

type MakeCache = Box<dyn Fn() -> Cache + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>;

/// A compiled pattern that tells whether it is in a text: one automaton, whose states are made as they are met.
struct Pattern {
    dfa: DFA,
    caches: Pool<Cache, MakeCache>,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern")
    }
}

impl Pattern {
    fn new(hir: &regex_syntax::hir::Hir) -> Result<Self, String> {
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(NFA_BYTES))
                    .which_captures(thompson::WhichCaptures::None),
            )
            .build_from_hir(hir)
            .map_err(|error| error.to_string())?;
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .cache_capacity(CACHE_BYTES)
                    // A pattern that needs more is given just that.
                    .skip_cache_capacity_check(true),
            )
            .build_from_nfa(nfa)
            .map_err(|error| error.to_string())?;
        let maker = dfa.clone();
        let make: MakeCache = Box::new(move || maker.create_cache());
        Ok(Self {
            dfa,
            caches: Pool::new(make),
        })
    }

    /// Takes time linear in `text`.
    fn is_match(&self, text: &[u8]) -> bool {
        let input = Input::new(text).earliest(true);
        // It has no byte to quit at and never gives up, so there is no error; were there one, it would not hide an attack.
        self.dfa
            .try_search_fwd(&mut self.caches.get(), &input)
            .map_or(true, |found| found.is_some())
    }
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
    fn new(spec: RuleSpec, exceptions: &[Exception]) -> Result<Self, RuleError> {
        let fails = |reason: String| RuleError {
            rule: spec.id.clone(),
            reason,
        };
        let hir = literals::parse(&spec.pattern).map_err(|error| fails(format!("pattern: {error}")))?;
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
            .map(|name| (names::number_of(name), name))
            .partition(|(id, _)| *id != names::OTHER);
        Ok(Self {
            pattern,
            kinds,
            header_ids: known.into_iter().map(|(id, _)| id).collect(),
            header_names: others.into_iter().map(|(_, name)| name.to_ascii_lowercase()).collect(),
            excepted: exceptions
                .iter()
                .filter(|exception| glob::matches(exception.rule.as_bytes(), spec.id.as_bytes()))
                .map(|exception| exception.field.clone())
                .collect(),
            literals: literals::of(&hir).unwrap_or_default(),
            is_code: shape::is_code(&spec.family),
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

    /// Whether the rule may be meant for some part of that header field, at that level of paranoia.
    pub fn may_apply(&self, header: HeaderName<'_>, paranoia: u8) -> bool {
        self.spec.paranoia <= paranoia
            && (self.spec.headers.is_empty()
                || if header.id == names::OTHER {
                    self.header_names.iter().any(|name| header.is(name))
                } else {
                    self.header_ids.contains(&header.id)
                })
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

    /// The literals one of which stands in whatever it matches; none: it is tried on everything.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }
}

/// Numbers of rules that are gathered before repeats are dropped; there must be fewer rules for that to help, and are.
const MOST_WANTED: usize = 1024;

impl Ruleset {
    /// Compiles rules. Fails with the first that can't be compiled.
    pub fn new(specs: Vec<RuleSpec>, exceptions: &[Exception]) -> Result<Self, RuleError> {
        let mut rules = Vec::with_capacity(specs.len());
        for spec in specs {
            rules.push(Rule::new(spec, exceptions)?);
        }
        let mut always = Vec::new();
        let mut owned: Vec<(&Literal, u16)> = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let number = u16::try_from(number).map_err(|_| RuleError {
                rule: rule.spec.id.clone(),
                reason: "more than 65,535 rules".to_owned(),
            })?;
            if rule.literals.is_empty() {
                always.push(number);
            }
            owned.extend(rule.literals.iter().map(|literal| (literal, number)));
        }
        let plain = owned
            .iter()
            .copied()
            .filter(|(literal, _)| !literal.bytes.iter().any(|&byte| is_odd(byte)))
            .collect();
        let (plain, all) = (Prefilter::new(plain), Prefilter::new(owned));
        Ok(Self {
            plain,
            all,
            always,
            rules,
        })
    }

    /// Finds literals in a header field's value, each with its place: those of values that are read in one way only.
    /// Ends where it is told to.
    pub fn scan(&self, section: &[u8], hit: impl FnMut(Hit) -> ControlFlow<()>) {
        self.plain.scan(section, hit);
    }

    /// The rules that a literal of `scan` stands for, each with the kinds of bytes that it takes beside the literal.
    pub fn owners(&self, literal: u16) -> &[(u16, u64)] {
        self.plain.owners(literal)
    }

    /// Adds the rules that may match in a value to `wanted`, in no order.
    pub fn want(&self, value: &[u8], wanted: &mut Vec<u16>) {
        wanted.extend_from_slice(&self.always);
        let mut there = None;
        self.all.scan(value, |hit| {
            let there = *there.get_or_insert_with(|| literals::kinds(value));
            wanted.extend(able(self.all.owners(hit.literal), there));
            if wanted.len() > MOST_WANTED {
                wanted.sort_unstable();
                wanted.dedup();
            }
            ControlFlow::Continue(())
        });
    }

    /// Whether `want` would add any rule; looks no further than the first.
    pub fn wants_any(&self, value: &[u8]) -> bool {
        let mut found = !self.always.is_empty();
        if !found {
            let there = literals::kinds(value);
            self.all.scan(value, |hit| {
                found = able(self.all.owners(hit.literal), there).next().is_some();
                if found {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        }
        found
    }

    /// Rules that are tried on everything.
    pub fn always(&self) -> &[u16] {
        &self.always
    }

    /// The rules whose pattern is in a text, whatever their parts, in their order; in linear time.
    pub fn matching(&self, text: &[u8]) -> Vec<usize> {
        let mut wanted: Vec<u16> = Vec::new();
        self.want(text, &mut wanted);
        wanted.sort_unstable();
        wanted.dedup();
        wanted
            .into_iter()
            .map(usize::from)
            .filter(|&number| self.rules[number].is_match(text))
            .collect()
    }

    /// Bytes that the prefilters take, how many literals there are, and how many rules have none.
    pub fn size(&self) -> (usize, usize, usize) {
        let (literals, bytes) = self.all.size();
        (bytes + self.plain.size().1, literals, self.always.len())
    }
}
