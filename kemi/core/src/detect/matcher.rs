//! Holds the parts of a message against the rules.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::apart::Apart;
use super::command;
use super::kept::Kept;
use super::kinds::{self, Kinds};
use super::model::{self, Model};
use super::register::{WEAK, is_name, longest, score, what};
use super::ruleset::{Place, Ruleset, Search};
use super::scrub::removable;
use super::shape::{self, Shape};
use super::transforms::{Stood, forms, has_openings, is_encoded, is_undecodable, names_base64};
use super::xml;
use crate::sip::grammar;
use crate::sip::parts::{Bodies, MAX_SPLIT, Numbers, Sink, Splitter, is_odd_inside, is_structured};
use crate::sip::{Header, HeaderName, Kind, Message, Part, PartKind, Span, names};
use crate::structure;

/// Bytes of a value that a finding shows.
const MAX_EXCERPT: usize = 4096;

/// What a part costs by itself, counted in bytes, and what is added where it has more forms. A call through ten proxies has
/// some 120 parts, few of which have more than one form.
const PART_COST: usize = 20;
const FORMS_COST: usize = 40;

/// What a value with an encoding costs by itself of the bytes that are decoded: a round for each layer.
const DECODED_COST: usize = 80;

/// Forms that most values with an encoding have; more count like values of their own.
const FORMS: usize = 3;

/// How many times `max_decoded_bytes` patterns may be tried on, counting for each try its bytes and `TRY_COST`: in fields, in lines
/// of SDP, where sixty keys of SRTP stay below it, and in a text body, where 8 KB of prose do. From `HOSTILE` findings that weigh
/// something on, which no ordinary message has, it is `TRIED_HOSTILE`: of hits of many rules in one value, which has dozens of
/// forms, each is tried on each.
const TRIED: usize = 96;
const TRIED_SDP: usize = 192;
const TRIED_BODY: usize = 512;
const TRIED_HOSTILE: usize = 32;
const HOSTILE: usize = 4;
const TRY_COST: usize = 16;

/// Bytes of a value that a finding about its structure shows.
const MAX_BROKEN: usize = 256;

/// Bytes of a malformed message that is looked at in full: its attack is worth a name.
const MAX_SHORT: usize = 2048;

/// The policy's `[detection]`; see `sipsieve.toml`.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub paranoia: u8,
    /// Bytes that are decoded of one message; 3.5 times as many are matched as they are.
    pub max_decoded_bytes: usize,
    /// Bytes of a display name, userinfo, tag, branch, Call-ID or host.
    pub max_value_bytes: usize,
    pub sdp: bool,
    pub text_bodies: bool,
}

/// One rule that fired on one part.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    pub rule: &'a str,
    pub family: &'a str,
    pub score: u8,
    /// As the log shows it: `from.display_name`.
    pub field: Cow<'a, str>,
    pub reason: Cow<'a, str>,
    /// The part's value, cut at 4,096 bytes; empty where it is a secret.
    pub excerpt: Cow<'a, [u8]>,
    /// What a scrub would replace; empty if nothing can be.
    pub span: Span,
    pub part: PartKind,
    /// Whether the value can be taken out without changing where the call goes.
    pub removable: bool,
}

/// Memory that one look leaves for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    search: Search,
    fired: Vec<u16>,
    apart: Apart,
}

/// What is found, at most once for a rule and part; see `Kept` for what is kept of many.
///
/// `max_decoded_bytes` bounds what is decoded and matched, so that no message costs more than about 300 µs: values that need
/// decoding may hold that many bytes in all, all values in which something may be found 3.5 times as many. More is a finding
/// itself, which refuses a request; in a reply, which can't be refused, whatever could not be looked at any more is one that
/// scrubs it, where it can be scrubbed.
///
/// `model` is asked of free text that no rule is sure of; `None`: it costs nothing.
pub fn find<'a>(
    message: &Message<'a>,
    ruleset: &'a Ruleset,
    model: Option<&Model>,
    settings: &Settings,
    scratch: &mut Scratch,
) -> Kept<'a> {
    let mut most = settings.max_decoded_bytes;
    if message.raw.len() > MAX_SHORT && !message.defects.is_empty() && structure::is_malformed(message) {
        // It will be refused anyway, so a short look has to do to say what else is wrong with it.
        most /= 6;
    }
    let finder = Finder {
        ruleset,
        model,
        settings,
        weighed: 0,
        is_reply: message.kind == Kind::Reply,
        decodable: most,
        matchable: most * 7 / 2,
        searchable: most * TRIED,
        searchable_sdp: most * TRIED_SDP,
        searchable_body: most * TRIED_BODY,
        weighty: 0,
        spent: false,
        marked: shape::has_marks(&message.raw[..message.body_start]),
        coded: names_base64(&message.raw[..message.body_start]),
        scratch,
        kept: Kept::default(),
    };
    let mut splitter = Splitter::new(message.raw, finder);
    // Where it ends early, a finding says so.
    let _ = look(&mut splitter, message);
    splitter.sink.kept
}

fn look<'a>(splitter: &mut Splitter<'a, Finder<'a, '_>>, message: &Message<'a>) -> ControlFlow<()> {
    splitter.first_line(message)?;
    // In a message so long that the splitter may leave fields whole, those in which nothing can be found must take up no room.
    let is_long = message.body_start > MAX_SPLIT;
    let mut numbers = Numbers::default();
    for (at, header) in message.headers.iter().enumerate() {
        let number = numbers.next(message, at);
        let odd = splitter.name(header)?;
        // Content-Length, Max-Forwards, Expires and the like, in most messages (25.1): 1*DIGIT.
        if header.value.len() < splitter.sink.ruleset.settled.digits && header.value.iter().all(u8::is_ascii_digit) {
            continue;
        }
        if splitter.sink.ruleset.vocabulary.is_all(header) {
            continue;
        }
        if is_long && !odd && splitter.sink.is_quiet(message.raw, header) {
            continue;
        }
        splitter.value(header, number)?;
    }
    if !message.body().is_empty() {
        splitter.sink.external(message);
    }
    let bodies = Bodies {
        sdp: splitter.sink.settings.sdp,
        text: splitter.sink.settings.text_bodies,
    };
    splitter.body(message, bodies)
}

struct Finder<'a, 's> {
    ruleset: &'a Ruleset,
    model: Option<&'s Model>,
    settings: &'s Settings,
    /// What the surest finding on the part at hand weighs.
    weighed: u8,
    is_reply: bool,
    /// Bytes that may still be decoded and matched.
    decodable: usize,
    matchable: usize,
    /// Bytes that patterns may still be tried on, each pattern's counted: in fields, in lines of SDP, in text bodies.
    searchable: usize,
    searchable_sdp: usize,
    searchable_body: usize,
    /// Findings of rules that weigh something.
    weighty: usize,
    /// Whether what may be decoded, matched or searched was too little once.
    spent: bool,
    /// Whether marks that some parts can't hold stand in the header section.
    marked: bool,
    /// Whether base64 is named there.
    coded: bool,
    scratch: &'s mut Scratch,
    kept: Kept<'a>,
}

impl<'a> Finder<'a, '_> {
    /// Whether nothing can be found in a header field's value, whatever its parts.
    fn is_quiet(&mut self, raw: &'a [u8], header: &Header<'_>) -> bool {
        let value = grammar::trim(&raw[header.value_start..header.end], grammar::is_space);
        if header.folded || value.len() > self.settings.max_value_bytes {
            return false;
        }
        let there = kinds::of(value);
        let place = Place {
            kind: None,
            header: header.name,
            paranoia: self.settings.paranoia,
            plain: false,
        };
        let odd = has_forms(value, there)
            || self.coded && names_base64(value)
            || self.marked && is_structured(header.name) && shape::has_marks(value)
            || is_odd_inside(header.name, value);
        !odd && !self.ruleset.want(value, there, place, true, &mut self.scratch.search)
    }

    /// A body whose reader would fetch what it names; whether text bodies are read or not.
    fn external(&mut self, message: &Message<'a>) {
        let kind = message
            .get(names::CONTENT_TYPE)
            .map_or(&b""[..], |header| &header.value);
        let body = message.body();
        if !xml::may_be(kind, body) || !xml::is_external(body) {
            return;
        }
        self.kept.add(Finding {
            rule: "xml-external",
            family: structure::FAMILY,
            score: structure::score("xml-external"),
            field: Cow::Borrowed("body"),
            reason: Cow::Borrowed("an entity, definition or inclusion that the reader would resolve"),
            excerpt: Cow::Borrowed(&body[..body.len().min(MAX_BROKEN)]),
            span: Span::default(),
            part: PartKind::Body,
            removable: false,
        });
    }

    /// A part for which nothing is left of what may be decoded and matched.
    fn over(&mut self, part: &Part<'a>) -> ControlFlow<()> {
        let removable = removable(part, self.is_reply);
        if !self.spent || removable {
            let (size, most) = (part.value.len(), self.settings.max_decoded_bytes);
            let reason = format!("{size} bytes, and more than detection.max_decoded_bytes = {most} to decode in all");
            self.too_long(part, reason, removable);
        }
        self.spent = true;
        if self.is_reply {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    fn too_long(&mut self, part: &Part<'a>, reason: String, removable: bool) {
        let excerpt = if part.header.has(names::CREDENTIALS) {
            b""
        } else {
            &part.value[..part.value.len().min(256)]
        };
        self.kept.add(Finding {
            rule: "value-overlong",
            family: structure::FAMILY,
            score: structure::score("value-overlong"),
            field: Cow::Owned(part.field.to_string()),
            reason: Cow::Owned(reason),
            excerpt: Cow::Borrowed(excerpt),
            span: if removable { part.span } else { Span::default() },
            part: part.kind,
            removable,
        });
    }

    /// A part that holds what its grammar has no room for.
    fn broken(&mut self, part: &Part<'a>, rule: &'static str, reason: String) {
        let reason = Cow::Owned(reason);
        self.kept.add(Finding {
            rule,
            family: structure::FAMILY,
            score: structure::score(rule),
            field: Cow::Owned(part.field.to_string()),
            reason,
            excerpt: Cow::Borrowed(&part.value[..part.value.len().min(MAX_BROKEN)]),
            span: part.span,
            part: part.kind,
            removable: removable(part, self.is_reply),
        });
    }

    fn command(&mut self, part: &Part<'a>, rule: &'static str) {
        self.broken(part, rule, "a command behind a separator of a shell".to_owned());
    }

    /// What a model says of a part on which no rule is sure. Alone it is too little to refuse anything; see `weigh`.
    fn second(&mut self, part: &Part<'a>, model: &Model, odds: f64, form: &[u8]) {
        let able = removable(part, self.is_reply);
        if self.weighed >= model::BESIDE || !able {
            return;
        }
        let score = model.weight(part, odds, self.weighed);
        self.kept.add(Finding {
            rule: model::RULE,
            family: model::FAMILY,
            score,
            field: Cow::Owned(part.field.to_string()),
            reason: Cow::Owned(model.reason(odds, form)),
            excerpt: Cow::Borrowed(&part.value[..part.value.len().min(MAX_EXCERPT)]),
            span: part.span,
            part: part.kind,
            removable: able,
        });
    }

    /// Matches the wanted rules on one form of a part. False: there are more of them than may still be tried.
    fn matched(&mut self, part: &Part<'a>, form: &[u8], decoded: bool) -> bool {
        for number in self.scratch.search.wanted.iter() {
            let rule = &self.ruleset.rules[usize::from(number)];
            if (decoded && rule.spec.as_sent) || self.scratch.fired.contains(&number) || !rule.applies(part) {
                continue;
            }
            let searchable = match part.kind {
                PartKind::Body if part.field.header.id == names::SDP => &mut self.searchable_sdp,
                PartKind::Body => &mut self.searchable_body,
                _ => &mut self.searchable,
            };
            let Some(left) = searchable.checked_sub(form.len() + TRY_COST) else {
                return false;
            };
            *searchable = left;
            if !rule.is_match(form) {
                continue;
            }
            if rule.spec.apart {
                let (holds, costs) = self.scratch.apart.holds(part, form, rule);
                *searchable = searchable.saturating_sub(costs);
                if !holds {
                    continue;
                }
            }
            self.scratch.fired.push(number);
            let score = score(rule, part, self.settings.paranoia);
            if score == 0 || rule.excepted(part) || (shape::is_whole(part) && self.kept.knows(&rule.spec.id, part.span))
            {
                continue;
            }
            self.weighty += usize::from(score >= WEAK);
            if self.weighty == HOSTILE && score >= WEAK {
                let less = |tried| (tried - TRIED_HOSTILE) * self.settings.max_decoded_bytes;
                self.searchable = self.searchable.saturating_sub(less(TRIED));
                self.searchable_sdp = self.searchable_sdp.saturating_sub(less(TRIED_SDP));
                self.searchable_body = self.searchable_body.saturating_sub(less(TRIED_BODY));
            }
            // Digest secrets never reach the log, whatever fired on them.
            self.weighed = self.weighed.max(score);
            let secret = part.header.has(names::CREDENTIALS);
            let excerpt = if secret {
                b""
            } else {
                &part.value[..part.value.len().min(MAX_EXCERPT)]
            };
            self.kept.add(Finding {
                rule: &rule.spec.id,
                family: &rule.spec.family,
                score,
                field: Cow::Owned(part.field.to_string()),
                reason: Cow::Borrowed(&rule.spec.reason),
                excerpt: Cow::Borrowed(excerpt),
                span: part.span,
                part: part.kind,
                removable: removable(part, self.is_reply),
            });
        }
        true
    }
}

impl<'a> Sink<'a> for Finder<'a, '_> {
    fn passes(&mut self, header: HeaderName<'a>, value: &'a [u8]) -> bool {
        let place = Place {
            kind: None,
            header,
            paranoia: self.settings.paranoia,
            plain: true,
        };
        let search = &mut self.scratch.search;
        self.ruleset.settled.all
            && value.len() <= self.settings.max_value_bytes
            && !self
                .ruleset
                .want(value, kinds::of(value) & shape::PARTS, place, true, search)
    }

    fn part(&mut self, part: Part<'a>) -> ControlFlow<()> {
        if part.kind == PartKind::Method && self.ruleset.vocabulary.passes(part.value) {
            return ControlFlow::Continue(());
        }
        let size = part.value.len();
        let most = self.settings.max_value_bytes;
        if size > most {
            let named = if is_name(&part) { size } else { longest(&part, most) };
            if named > most {
                let reason = format!("{named} bytes; detection.max_value_bytes = {most}");
                self.too_long(&part, reason, false);
            }
        }
        self.weighed = 0;
        let there = kinds::of(part.value);
        let shape = shape::with_kinds(&part, there);
        if let Shape::Broken(rule, byte) = shape {
            let reason = format!("no {:?} may stand in a {}", char::from(byte), what(&part));
            self.broken(&part, rule, reason);
        }
        let mut commands = command::Place::of(&part).filter(|_| shape != Shape::Plain);
        let told = |commands: &mut Option<command::Place>, there: Kinds, form: &[u8]| {
            let place = commands.filter(|&place| there & command::MARKS != 0 && command::is_command(form, place))?;
            *commands = None;
            Some(place.rule())
        };
        if let Some(rule) = told(&mut commands, there, part.value) {
            self.command(&part, rule);
        }
        // A plus sign that is read as a space makes words of what stands between ampersands, so only escapes are undone.
        commands = commands.filter(|place| place.is_decoded() && there & kinds::of_byte(b'%') != 0);
        let place = Place {
            kind: Some(part.kind),
            header: part.header,
            paranoia: self.settings.paranoia,
            plain: shape == Shape::Plain,
        };
        // A plain part can be read in one way only. Elsewhere letters and digits can be code in base64, where something beside
        // them says that they are.
        let needed = !place.plain
            && part.kind != PartKind::Name
            && (has_forms(part.value, there)
                || (self.coded || part.kind == PartKind::Body) && names_base64(part.value));
        // Of what is longer than may still be matched only whether anything may be found is asked.
        let briefly = size + PART_COST > self.matchable;
        let search = &mut self.scratch.search;
        // Held against all rules at the start.
        let settled = (place.plain && part.header.id == names::VIA && part.kind == PartKind::Text)
            .then(|| self.ruleset.settled.of(part.value, place.paranoia))
            .flatten();
        let wanted = settled.unwrap_or_else(|| needed || self.ruleset.want(part.value, there, place, briefly, search));
        let model = self.model.filter(|_| is_asked(&part, there, needed));
        if !wanted && model.is_none() {
            return ControlFlow::Continue(());
        }
        let costs = size + PART_COST + if needed { FORMS_COST } else { 0 };
        let decoded = if needed && is_encoded(part.value) {
            size + DECODED_COST
        } else {
            0
        };
        if self.spent || costs > self.matchable || decoded > self.decodable {
            return self.over(&part);
        }
        self.matchable -= costs;
        self.decodable -= decoded;
        self.scratch.fired.clear();
        self.scratch.apart = Apart::default();
        let mut alarm = None;
        if needed {
            for (number, form) in forms(part.value, Stood::of(&part)).iter().enumerate() {
                if number >= FORMS {
                    self.matchable = self.matchable.saturating_sub(form.len() + FORMS_COST);
                }
                let there = kinds::of(form);
                if alarm.is_none() {
                    alarm = model.and_then(|model| Some((model.alarm(form)?, Cow::Owned(form.to_vec()))));
                }
                if self.ruleset.want(form, there, place, false, &mut self.scratch.search)
                    && !self.matched(&part, form, number > 0)
                {
                    return self.over(&part);
                }
                if let Some(rule) = told(&mut commands, there, form) {
                    self.command(&part, rule);
                }
            }
        } else {
            if wanted && settled.is_none() && !self.matched(&part, part.value, false) {
                return self.over(&part);
            }
            alarm = model.and_then(|model| Some((model.alarm(part.value)?, Cow::Borrowed(part.value))));
        }
        if let (Some(model), Some((odds, form))) = (model, alarm) {
            self.second(&part, model, odds, &form);
        }
        ControlFlow::Continue(())
    }
}

/// Whether a second opinion is asked of a part with these kinds of bytes.
fn is_asked(part: &Part<'_>, there: Kinds, needed: bool) -> bool {
    (needed || there & model::MARKS != 0) && model::is_asked(part)
}

/// Whether a value with these kinds of bytes can be read in more than one way.
fn has_forms(value: &[u8], there: Kinds) -> bool {
    match there & kinds::ODD {
        0 => kinds::may_open(there) && has_openings(value),
        kinds::HIGH => !is_undecodable(value) || kinds::may_open(there) && has_openings(value),
        _ => true,
    }
}
