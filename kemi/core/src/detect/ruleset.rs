//! The rules together: which of them are worth a try on a value, by literals that are derived from their patterns.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use super::kinds::{self, Kinds};
use super::literals::Literal;
pub use super::prefilter::Hit;
use super::prefilter::Prefilter;
use super::rule::{Exception, Rule, RuleError, RuleSpec};
use super::set::Set;
use super::settled::Settled;
use super::vocabulary::Vocabulary;
use crate::sip::{HeaderName, PartKind, names};

/// Rules and their exceptions. Immutable; made before Kamailio forks.
#[derive(Debug)]
pub struct Ruleset {
    pub rules: Vec<Rule>,
    literals: Prefilter,
    /// Which rules values can be matched by at all, by the kinds of their bytes.
    forms: kinds::Forms,
    /// Rules that no literal could be derived for.
    always: Set,
    /// Rules that look for no code.
    codeless: Set,
    /// Rules by level of paranoia, by group of header fields, and by kind of part, the last for parts of any kind.
    scopes: Vec<u64>,
    levels: usize,
    groups: usize,
    /// By header field: its group.
    headers: Vec<u8>,
    /// What every Via begins with.
    pub settled: Settled,
    /// Registered words.
    pub vocabulary: Vocabulary,
    /// What no other set of rules has.
    identity: u64,
}

static MADE: AtomicU64 = AtomicU64::new(1);

/// Rules that can match, by the form of a value and its place: what was found out last, in the process's own memory.
#[derive(Debug, Default)]
struct Known {
    /// Which set of rules the rest is about.
    identity: u64,
    /// Entries: the form, the place and whether a literal is to be looked for, and a set of rules.
    entries: Vec<u64>,
}

/// Forms in their places that are remembered; ordinary traffic has some hundreds.
const KNOWN: usize = 2048;

/// Words of an entry before its set of rules.
const HEAD: usize = 2;

/// In an entry, beside the number of its place: a literal is to be looked for.
const OPEN: u64 = 1 << 63;

/// Stands for no form: in one all letters are one kind.
const NO_FORM: Kinds = Kinds::MAX;

/// Memory for a search that one value leaves for the next.
#[derive(Debug, Default)]
pub struct Search {
    known: Known,
    /// Rules to try on the part at hand: a literal of theirs stands there.
    pub wanted: Set,
    /// By literal: the search in which it was met last; and the number of the search at hand.
    met: Vec<u32>,
    number: u32,
}

/// What a value stands in.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The kind of part; of a value that is not taken apart, none.
    pub kind: Option<PartKind>,
    pub header: HeaderName<'a>,
    pub paranoia: u8,
    /// Whether its structure says that no code can be in it.
    pub plain: bool,
}

impl Ruleset {
    /// Compiles rules. Fails with the first that can't be compiled.
    pub fn new(specs: Vec<RuleSpec>, exceptions: &[Exception]) -> Result<Self, RuleError> {
        let mut rules = Vec::with_capacity(specs.len());
        for spec in specs {
            rules.push(Rule::new(spec, exceptions)?);
        }
        let size = rules.len();
        let mut always = Set::of(size);
        let mut owned: Vec<(&Literal, u16)> = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let number = u16::try_from(number).map_err(|_| RuleError {
                rule: rule.spec.id.clone(),
                reason: "more than 65,535 rules".to_owned(),
            })?;
            if rule.literals().is_empty() {
                always.add(number);
            }
            owned.extend(rule.literals().iter().map(|literal| (literal, number)));
        }
        // Header fields that the same rules are for.
        let (mut groups, mut headers): (Vec<Vec<bool>>, Vec<u8>) = Default::default();
        for id in 0..names::COUNT {
            let group: Vec<bool> = rules.iter().map(|rule| rule.may_be_for(id)).collect();
            let place = groups.iter().position(|known| *known == group).unwrap_or(groups.len());
            if place == groups.len() {
                groups.push(group);
            }
            // There are fewer header fields than 256.
            headers.push(place as u8);
        }
        let levels = rules
            .iter()
            .map(|rule| usize::from(rule.spec.paranoia))
            .max()
            .unwrap_or(0)
            + 1;
        let mut scopes = Vec::new();
        for level in 0..levels {
            for group in &groups {
                for kind in 0..13 {
                    let mut set = Set::of(size);
                    for (number, rule) in (0..).zip(&rules) {
                        let of_kind = rule.takes(kind);
                        if of_kind && group[usize::from(number)] && usize::from(rule.spec.paranoia) <= level {
                            set.add(number);
                        }
                    }
                    scopes.extend(set.0);
                }
            }
        }
        let forms = kinds::Forms::new(rules.iter().map(|rule| rule.ways.clone()));
        let able = |rule: u16, kinds: Kinds| {
            let ways = &rules[usize::from(rule)].ways;
            ways.iter().any(|way| way & !kinds == 0)
        };
        let mut codeless = Set::of(rules.len());
        for (rule, number) in rules.iter().zip(0..) {
            if !rule.is_code {
                codeless.add(number);
            }
        }
        let mut made = Self {
            literals: Prefilter::new(owned, size, able, |rule| codeless.has(rule)),
            forms,
            always,
            codeless,
            scopes,
            levels,
            groups: groups.len(),
            headers,
            settled: Settled::default(),
            vocabulary: Vocabulary::new(&rules),
            identity: MADE.fetch_add(1, Ordering::Relaxed),
            rules,
        };
        made.settled = Settled::new(&made, levels);
        Ok(made)
    }

    /// The rules that values with these kinds of bytes can be matched by in that place, as words of a set, and whether a literal
    /// is to be looked for.
    fn able<'k>(&self, kinds: Kinds, place: Place<'_>, known: &'k mut Known) -> (&'k [u64], bool) {
        let size = HEAD + self.always.0.len();
        if known.identity != self.identity {
            let empty = [NO_FORM].into_iter().chain(std::iter::repeat_n(0, size - 1));
            *known = Known {
                identity: self.identity,
                entries: empty.cycle().take(KNOWN * size).collect(),
            };
        }
        let form = kinds::form(kinds);
        let number = self.number(place);
        let slot = kinds::slot(form ^ number << 32, KNOWN);
        let entry = &mut known.entries[slot * size..][..size];
        if entry[0] != form || entry[1] & !OPEN != number {
            (entry[0], entry[1]) = (form, number);
            let rules = &mut entry[HEAD..];
            self.learn(form, rules);
            let mut open = false;
            for (word, rules) in rules.iter_mut().enumerate() {
                let code = if place.plain { self.codeless.0[word] } else { u64::MAX };
                *rules &= self.scope(number)[word] & code;
                open |= *rules & !self.always.0[word] != 0;
            }
            entry[1] |= if open { OPEN } else { 0 };
        }
        (&entry[HEAD..], entry[1] & OPEN != 0)
    }

    /// Bytes of the shortest value with no other kinds of bytes that a rule may match, in whatever place, at the least.
    pub fn shortest(&self, kinds: Kinds) -> usize {
        let form = kinds::form(kinds);
        let may_stand =
            |literal: &Literal| kinds::form(kinds::of(&literal.bytes)) & !form == 0 && literal.needs.may_be_in(form);
        let mut shortest = usize::MAX;
        self.forms.able(form, |rule| {
            let rule = &self.rules[usize::from(rule)];
            if rule.literals().is_empty() || rule.literals().iter().any(may_stand) {
                shortest = shortest.min(rule.shortest);
            }
        });
        shortest
    }

    fn learn(&self, form: Kinds, rules: &mut [u64]) {
        rules.fill(0);
        self.forms
            .able(form, |rule| rules[usize::from(rule / 64)] |= 1 << (rule % 64));
    }

    /// A number for parts of that kind (or of any) in that header field, up to that level; the lowest bit is for plain ones.
    fn number(&self, place: Place<'_>) -> u64 {
        let level = usize::from(place.paranoia).min(self.levels - 1);
        let group = usize::from(self.headers[usize::from(place.header.id)]);
        let kind = place.kind.map_or(12, |kind| kind as usize);
        (((level * self.groups + group) * 13 + kind) << 1 | usize::from(place.plain)) as u64
    }

    /// The rules for places with that number, as words of a set.
    fn scope(&self, number: u64) -> &[u64] {
        let words = self.always.0.len();
        &self.scopes[(number >> 1) as usize * words..][..words]
    }

    /// Finds out which rules are worth a try on a value with these kinds of bytes, in such a place (`search.wanted`), and says
    /// whether there are any. `briefly` finds out no more than that, by literals alone: a long value may hold many of rules that
    /// can't match it, and to look past each of them costs.
    pub fn want(&self, value: &[u8], kinds: Kinds, place: Place<'_>, briefly: bool, search: &mut Search) -> bool {
        let Search {
            known,
            wanted,
            met,
            number,
        } = search;
        if known.identity != self.identity || *number == u32::MAX {
            *wanted = self.always.clone();
            *met = vec![0; self.literals.size().0];
            *number = 0;
        }
        *number += 1;
        let (able, open) = self.able(kinds, place, known);
        let wanted_words = &mut wanted.0[..];
        for ((wanted, able), always) in wanted_words.iter_mut().zip(able).zip(&self.always.0) {
            *wanted = able & always;
        }
        if open && (!briefly || wanted_words.iter().all(|&word| word == 0)) {
            // A plain value is searched for what matters there alone.
            let whatever = briefly && place.kind.is_some() && !place.plain;
            self.literals.scan(value, kinds, place.plain, |hit| {
                // One literal over and over is asked for its rules once.
                let met = &mut met[usize::from(hit.literal)];
                if *met == *number {
                    return ControlFlow::Continue(());
                }
                *met = *number;
                let (all, groups) = self.literals.owners(hit.literal);
                let mut owned = all.iter().zip(able).zip(&*wanted_words);
                if !whatever && owned.all(|((all, able), wanted)| all & able & !wanted == 0) {
                    return ControlFlow::Continue(());
                }
                let mut more = 0;
                for owners in groups {
                    if !owners.needs.are_in(kinds) {
                        continue;
                    }
                    for ((wanted, able), rules) in wanted_words.iter_mut().zip(able).zip(owners.rules) {
                        // Of a part only whether any literal counts is asked then, of whatever rule: most places of hostile
                        // text may hold one of a rule that is not for it.
                        let met = if whatever { *rules } else { rules & able };
                        *wanted |= met;
                        more |= met;
                    }
                }
                if more != 0 && (briefly || *wanted_words == *able) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        }
        !wanted.is_empty()
    }

    /// Finds literals in a text, each with its place. Ends where it is told to.
    pub fn scan(&self, text: &[u8], hit: impl FnMut(Hit) -> ControlFlow<()>) {
        self.literals.scan(text, Kinds::MAX, false, hit);
    }

    /// The rules that are worth a try on a text, whatever their parts, in their order.
    pub fn worth_a_try(&self, text: &[u8]) -> Vec<u16> {
        let kinds = kinds::of(text);
        let mut able = Set::of(self.rules.len());
        self.learn(kinds::form(kinds), &mut able.0);
        let mut wanted = self.always.clone();
        self.literals.scan(text, kinds, false, |hit| {
            for owners in self.literals.owners(hit.literal).1 {
                if owners.needs.are_in(kinds) {
                    wanted.join(owners.rules);
                }
            }
            ControlFlow::Continue(())
        });
        wanted.keep(&able);
        wanted.iter().collect()
    }

    /// The rules whose pattern is in a text, whatever their parts, in their order; in linear time.
    pub fn matching(&self, text: &[u8]) -> Vec<usize> {
        let worth = self.worth_a_try(text).into_iter().map(usize::from);
        worth.filter(|&number| self.rules[number].is_match(text)).collect()
    }

    /// Bytes that the prefilter takes, how many literals it has, and how many rules have none.
    pub fn size(&self) -> (usize, usize, usize) {
        let (literals, bytes) = self.literals.size();
        (bytes, literals, self.always.iter().count())
    }
}
