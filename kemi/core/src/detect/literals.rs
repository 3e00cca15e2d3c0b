//! Derives from a pattern the literals without one of which it can't match, so that few patterns are ever tried.

use std::cmp::Ordering;

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

use super::classes;
use super::kinds::Needs;
use super::text::Text;
use super::transforms::is_odd;

/// Literals of one pattern; more are not worth looking for.
const MOST: usize = 400;

/// Bytes of a literal that are looked for: more don't make it rarer.
pub const LONGEST: usize = 8;

/// Bytes of a class that are told apart.
const WIDEST: usize = 64;

/// A text that is looked for, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    pub bytes: Text,
    /// It counts only where a word begins before it, or ends behind it (or the other way round, for a mark).
    pub bound_before: bool,
    pub bound_behind: bool,
    /// What else stands in what is matched.
    pub needs: Needs,
}

/// A pattern's syntax tree. Patterns see bytes, match in any case, and `.` matches a line end. Fails with the parser's words.
pub fn parse(pattern: &str) -> Result<Hir, String> {
    let parsed = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .nest_limit(100)
        .build()
        .parse(pattern)
        .map_err(|error| last_line(&error.to_string()))?;
    Ok(before_last_line_end(&parsed))
}

fn last_line(error: &str) -> String {
    error
        .lines()
        .last()
        .unwrap_or("not a pattern")
        .trim_start_matches("error: ")
        .to_owned()
}

/// `$` holds before a last line end too, as in Perl's syntax.
fn before_last_line_end(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(Look::End) => Hir::alternation(vec![
            Hir::look(Look::End),
            Hir::concat(vec![Hir::literal(*b"\n"), Hir::look(Look::End)]),
        ]),
        _ if hir.properties().look_set().contains(Look::End) => rebuilt(hir, &before_last_line_end),
        _ => hir.clone(),
    }
}

fn rebuilt(hir: &Hir, change: &dyn Fn(&Hir) -> Hir) -> Hir {
    match hir.kind() {
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(change(&repetition.sub)),
            ..repetition.clone()
        }),
        HirKind::Capture(capture) => change(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(change).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(change).collect()),
        _ => hir.clone(),
    }
}

/// The same pattern for texts in lower case: a letter in either case is one byte again, and a word one literal.
pub fn lower(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Literal(literal) => Hir::literal(literal.0.to_ascii_lowercase()),
        HirKind::Class(Class::Bytes(class)) => {
            Hir::class(Class::Bytes(ClassBytes::new(class.iter().flat_map(lower_ranges))))
        }
        HirKind::Class(Class::Unicode(class)) => {
            // Without Unicode there are only classes of ASCII characters, and those as bytes mean the same.
            class
                .to_byte_class()
                .map_or_else(|| hir.clone(), |class| lower(&Hir::class(Class::Bytes(class))))
        }
        _ => rebuilt(hir, &lower),
    }
}

/// What a range of bytes is in lower case: what is before the capitals, they themselves, and what is behind them.
fn lower_ranges(range: &ClassBytesRange) -> impl Iterator<Item = ClassBytesRange> {
    let within = |first: u8, last: u8| {
        let (first, last) = (range.start().max(first), range.end().min(last));
        (first <= last).then_some((first, last))
    };
    let capitals = within(b'A', b'Z').map(|(first, last)| (first.to_ascii_lowercase(), last.to_ascii_lowercase()));
    [within(0, b'A' - 1), capitals, within(b'Z' + 1, u8::MAX)]
        .into_iter()
        .flatten()
        .map(|(first, last)| ClassBytesRange::new(first, last))
}

/// How often a byte stands in the values of ordinary SIP messages, as a share of all bytes: in about what their headers have.
///
/// Of bytes that are read in more ways than one it does not matter, since a value with one is searched by itself.
pub fn frequency(byte: u8) -> f64 {
    match byte {
        _ if is_odd(byte) => 0.0002,
        b'0'..=b'9' => 0.025,
        b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' | b'a' => 0.03,
        b'c' | b'd' | b'p' | b'l' => 0.02,
        b'a'..=b'z' => 0.012,
        b' ' | b'.' | b':' => 0.03,
        b'-' | b'/' | b';' | b'=' | b',' => 0.012,
        b'<' | b'>' | b'@' => 0.006,
        b'_' | b'(' | b')' => 0.0008,
        _ => 0.0002,
    }
}

/// Share of places at which a literal stands that are also the beginning, or the end, of a word.
const BOUND: f64 = 0.15;

/// How often one of these is met at a byte of an ordinary message; and what each costs to look for.
fn cost(literals: &[Literal]) -> f64 {
    let met = |literal: &Literal| {
        let bounds = f64::from(u8::from(literal.bound_before) + u8::from(literal.bound_behind));
        let alone: f64 = literal.bytes.iter().map(|&byte| frequency(byte)).product();
        // A word of SIP's own is met more often than its letters alone make likely.
        if literal.bytes.len() > 3 {
            alone.max(classes::met(&literal.bytes))
        } else {
            alone * BOUND.powf(bounds)
        }
    };
    literals.iter().map(met).sum::<f64>() + literals.len() as f64 * 2e-6
}

/// Literals one of which stands in every text in lower case that a pattern, made `lower`, matches, together with what else
/// that takes. `None` where there are none.
pub fn of(hir: &Hir) -> Option<Vec<Literal>> {
    let branches = match hir.kind() {
        HirKind::Alternation(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let mut all = Vec::new();
    for branch in branches {
        all.extend(of_branch(branch)?);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// Those of one way to be matched, with what else that way takes.
fn of_branch(branch: &Hir) -> Option<Vec<Literal>> {
    let needs = Needs::of(branch);
    let mut all = best(branch)?;
    for literal in &mut all {
        literal.needs = literal.needs.and(needs);
    }
    Some(all)
}

/// The cheaper of two sets.
fn cheaper(one: Option<Vec<Literal>>, other: Option<Vec<Literal>>) -> Option<Vec<Literal>> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let order = cost(&one).partial_cmp(&cost(&other)).unwrap_or(Ordering::Equal);
            Some(if order == Ordering::Greater { other } else { one })
        }
        (one, other) => one.or(other),
    }
}

fn best(hir: &Hir) -> Option<Vec<Literal>> {
    let whole = exact(hir).and_then(|texts| literals(&texts, false, false));
    let inner = match hir.kind() {
        HirKind::Repetition(repetition) if repetition.min > 0 => best(&repetition.sub),
        HirKind::Capture(capture) => best(&capture.sub),
        HirKind::Alternation(parts) => parts
            .iter()
            .map(of_branch)
            .collect::<Option<Vec<_>>>()
            .and_then(|sets| {
                let all = reduced(sets.into_iter().flatten().collect());
                (all.len() <= MOST).then_some(all)
            }),
        HirKind::Concat(parts) => {
            let texts: Vec<_> = parts.iter().map(exact).collect();
            (0..parts.len()).fold(None, |known, start| {
                let inside = if texts[start].is_none() {
                    best(&parts[start])
                } else {
                    None
                };
                cheaper(cheaper(known, inside), run(parts, &texts, start))
            })
        }
        _ => None,
    };
    cheaper(whole, inner)
}

/// The best of the texts that the parts from one on make together, as far as they are few. `exact_texts`: of each part all
/// texts that it matches, where they are few.
fn run(parts: &[Hir], exact_texts: &[Option<Vec<Text>>], start: usize) -> Option<Vec<Literal>> {
    let before = start > 0 && is_bound(&parts[start - 1]);
    let mut texts = vec![Text::default()];
    let mut known = None;
    for (at, more) in exact_texts.iter().enumerate().skip(start) {
        let Some(longer) = more.as_ref().and_then(|more| product(&texts, more)) else {
            break;
        };
        texts = longer;
        let behind = parts.get(at + 1).is_some_and(is_bound);
        known = cheaper(known, literals(&texts, before, behind));
        // More of them would be cut off.
        if texts.iter().all(|text| text.len() > LONGEST) {
            break;
        }
    }
    known
}

fn is_bound(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Look(Look::WordAscii))
}

/// Texts as literals; `None` where one is empty.
fn literals(texts: &[Text], bound_before: bool, bound_behind: bool) -> Option<Vec<Literal>> {
    if texts.is_empty() || texts.iter().any(|text| text.is_empty()) {
        return None;
    }
    let literal = |text: &Text| Literal {
        bytes: Text::of(&text[..text.len().min(LONGEST)]),
        bound_before,
        bound_behind: bound_behind && text.len() <= LONGEST,
        needs: Needs::NOTHING,
    };
    Some(reduced(texts.iter().map(literal).collect()))
}

/// Without those that hold another one: where they stand it does too.
fn reduced(mut all: Vec<Literal>) -> Vec<Literal> {
    all.sort_unstable();
    all.dedup();
    // In order, so that a part of a literal is looked up instead of compared with all others.
    let free: Vec<(Text, Needs)> = all
        .iter()
        .filter(|one| !one.bound_before && !one.bound_behind)
        .map(|one| (one.bytes, one.needs))
        .collect();
    let sizes = free.iter().fold(0u32, |known, (text, _)| known | 1 << text.len());
    let mut begins = [false; 256];
    free.iter().for_each(|(text, _)| begins[usize::from(text[0])] = true);
    let is_known = |part: &[u8], needs: Needs| {
        if !begins[usize::from(part[0])] {
            return false;
        }
        let first = free.partition_point(|(text, _)| **text < *part);
        let same = free[first..].iter().take_while(|(text, _)| **text == *part);
        same.map(|(_, known)| known).any(|known| known.follow_from(needs))
    };
    all.retain(|one| {
        let bound = one.bound_before || one.bound_behind;
        let longest = one.bytes.len() - usize::from(!bound);
        !(1..=longest)
            .filter(|size| sizes >> size & 1 != 0)
            .any(|size| one.bytes.windows(size).any(|part| is_known(part, one.needs)))
    });
    all
}

/// Most times that something is repeated for its texts to be told.
const MOST_OFTEN: u32 = 8;

/// Whether nothing in a pattern alone makes its texts too many: told at once, before any of them is made.
fn may_be_few(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) => true,
        HirKind::Class(Class::Bytes(class)) => {
            let sizes = class.iter().map(|range| usize::from(range.end() - range.start()) + 1);
            sizes.sum::<usize>() <= WIDEST
        }
        HirKind::Class(Class::Unicode(_)) => false,
        HirKind::Capture(capture) => may_be_few(&capture.sub),
        HirKind::Repetition(repetition) => {
            repetition.max.is_some_and(|most| most <= MOST_OFTEN) && may_be_few(&repetition.sub)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(may_be_few),
    }
}

/// All texts that a pattern matches, as far as a `Text` keeps them, where they are few.
fn exact(hir: &Hir) -> Option<Vec<Text>> {
    if may_be_few(hir) { texts_of(hir) } else { None }
}

fn texts_of(hir: &Hir) -> Option<Vec<Text>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![Text::default()]),
        HirKind::Literal(literal) => Some(vec![Text::of(&literal.0)]),
        HirKind::Class(Class::Bytes(class)) => {
            let bytes = class.iter().flat_map(|range| range.start()..=range.end());
            Some(bytes.map(|byte| Text::of(&[byte])).collect())
        }
        HirKind::Class(Class::Unicode(_)) => None,
        HirKind::Capture(capture) => texts_of(&capture.sub),
        HirKind::Repetition(repetition) => {
            let most = repetition.max?;
            let sub = texts_of(&repetition.sub)?;
            let mut power = vec![Text::default()];
            let mut texts = Vec::new();
            for count in 0..=most {
                if count >= repetition.min {
                    texts.extend(&power);
                }
                if count < most {
                    power = product(&power, &sub)?;
                }
            }
            few(texts)
        }
        HirKind::Concat(parts) => parts
            .iter()
            .try_fold(vec![Text::default()], |texts, part| product(&texts, &texts_of(part)?)),
        HirKind::Alternation(parts) => {
            let texts = parts.iter().map(texts_of).collect::<Option<Vec<_>>>()?;
            few(texts.into_iter().flatten().collect())
        }
    }
}

fn few(mut texts: Vec<Text>) -> Option<Vec<Text>> {
    texts.sort_unstable();
    texts.dedup();
    (texts.len() <= MOST).then_some(texts)
}

fn product(first: &[Text], second: &[Text]) -> Option<Vec<Text>> {
    if first.len() * second.len() > MOST {
        return None;
    }
    few(first
        .iter()
        .flat_map(|one| second.iter().map(move |other| one.and(other)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pattern: &str) -> Vec<String> {
        let hir = parse(pattern).expect("a pattern");
        let literals = of(&lower(&hir)).unwrap_or_default();
        let shown = |literal: &Literal| {
            let bound = |is: bool| if is { "|" } else { "" };
            let text = String::from_utf8_lossy(&literal.bytes).into_owned();
            format!("{}{text}{}", bound(literal.bound_before), bound(literal.bound_behind))
        };
        literals.iter().map(shown).collect()
    }

    #[test]
    fn the_rarest_part_of_a_pattern_is_looked_for() {
        assert_eq!(texts(r"\s*UNION\s+(?:all\s+)?select\b"), ["select|"]);
        assert_eq!(texts(r"[a-z]{0,4}\$\("), ["$("]);
        assert_eq!(texts(r"\b(?:or|and)\b\s*\d"), ["|and|", "|or|"]);
        assert_eq!(
            texts(r"(?:foo|x+bar\d)"),
            ["foo", "bar"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>()
        );
        assert_eq!(texts(r".+"), Vec::<String>::new());
    }
}
