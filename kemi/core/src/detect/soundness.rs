//! Proves on the rules that are shipped that nothing a pattern matches is missed for want of a literal.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::kept::MAX_FINDINGS;
use super::literals;
use super::shape::{self, Shape};
use super::transforms::{Stood, forms, names_base64, needs_decoding};
use super::{RuleSpec, Ruleset, Scratch, Settings, find};
use crate::random::Random;
use crate::sip::parts::{Bodies, each, plain};
use crate::sip::{self, PartKind, Span, names};
use crate::structure::FAMILY;

/// Texts made of each pattern.
const SAMPLES: usize = 2000;

/// Texts of a kilobyte that each pattern is tried on in vain.
const TEXTS: usize = 40;

/// The rules as they are shipped, of all levels of paranoia, for parts of any kind and header.
fn shipped() -> Vec<RuleSpec> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../sipsieve/detection/rules");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the rules' folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut rules = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(path).expect("a rule file");
        let mut id = "";
        for line in text.lines() {
            if let Some(value) = line.strip_prefix("id = ") {
                id = value.trim_matches('"');
            } else if let Some(value) = line.strip_prefix("pattern = ") {
                let pattern = value.strip_prefix("'''").and_then(|rest| rest.strip_suffix("'''"));
                rules.push(RuleSpec {
                    id: id.to_owned(),
                    pattern: pattern.expect("a pattern between three quotes").to_owned(),
                    score: 5,
                    tight: 5,
                    ..RuleSpec::default()
                });
            }
        }
    }
    assert!(rules.len() > 70, "{} rules were read", rules.len());
    rules
}

/// The rules' patterns, as trees, in their order.
fn trees(ruleset: &Ruleset) -> Vec<Hir> {
    let rules = ruleset.rules.iter();
    rules
        .map(|rule| literals::parse(&rule.spec.pattern).expect("a pattern"))
        .collect()
}

/// Adds to `text` what a pattern may match. Where it looks around itself the text may turn out not to match.
fn generate(hir: &Hir, random: &mut Random, text: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.extend_from_slice(&literal.0),
        HirKind::Class(class) => {
            let bytes = match class {
                Class::Bytes(class) => Some(class.clone()),
                Class::Unicode(class) => class.to_byte_class(),
            };
            let Some(bytes) = bytes.filter(|class| !class.ranges().is_empty()) else {
                return;
            };
            let range = random.one(bytes.ranges());
            let width = usize::from(range.end() - range.start()) + 1;
            text.push(range.start() + random.below(width) as u8);
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min + 3).min(repetition.min + 5);
            // The shortest is where a literal is most easily missed.
            let count = if random.below(2) == 0 {
                repetition.min
            } else {
                repetition.min + random.below((most - repetition.min + 1) as usize) as u32
            };
            for _ in 0..count {
                generate(&repetition.sub, random, text);
            }
        }
        HirKind::Capture(capture) => generate(&capture.sub, random, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| generate(part, random, text)),
        HirKind::Alternation(parts) => generate(random.one(parts), random, text),
    }
}

/// The same text with some of its letters in the other case.
fn in_any_case(text: &mut [u8], random: &mut Random) {
    for byte in text {
        if random.below(2) == 0 {
            *byte = if byte.is_ascii_lowercase() {
                byte.to_ascii_uppercase()
            } else {
                byte.to_ascii_lowercase()
            };
        }
    }
}

#[test]
fn whatever_a_rule_matches_holds_one_of_its_literals() {
    let ruleset = Ruleset::new(shipped(), &[]).expect("rules that compile");
    let mut random = Random(0x5eed);
    let around: [&[u8]; 8] = [b"", b" ", b"a", b"\n", b"'", b"7", b";", b"%20"];
    for (number, rule) in ruleset.rules.iter().enumerate() {
        let hir = literals::parse(&rule.spec.pattern).expect("a pattern");
        let mut matched = 0;
        for _ in 0..SAMPLES {
            let mut text = around[random.below(around.len())].to_vec();
            generate(&hir, &mut random, &mut text);
            text.extend_from_slice(around[random.below(around.len())]);
            // As it is written, which a rule may ask for, and in any case.
            for mixed in [false, true] {
                if mixed {
                    in_any_case(&mut text, &mut random);
                }
                matched += usize::from(rule.is_match(&text));
                let wanted = ruleset.worth_a_try(&text);
                for (other, rule) in ruleset.rules.iter().enumerate() {
                    // All rules where it is cheap, its own always.
                    if (other == number || random.below(8) == 0) && rule.is_match(&text) {
                        assert!(
                            wanted.contains(&(other as u16)),
                            "{} matches {:?} but is not tried on it",
                            rule.spec.id,
                            String::from_utf8_lossy(&text)
                        );
                    }
                }
            }
        }
        // Else the generator shows nothing of this rule.
        assert!(
            matched > 2 * SAMPLES / 50,
            "{}: {matched} of twice {SAMPLES} texts match",
            rule.spec.id
        );
    }
}

/// A gap of at most so many bytes, as in `a.{0,60}b`, makes a state for each set of places at which it may have begun: text that
/// begins it again and again meets a new one at each byte, at a microsecond each. `a.*b` has one.
#[test]
fn no_text_makes_states_without_end() {
    let ruleset = Ruleset::new(shipped(), &[]).expect("rules that compile");
    let mut random = Random(0xcafe);
    let between: [&[u8]; 8] = [b"a", b" ", b"1", b"ab ", b"x y ", b"a1", b"'", b"\xd0\xb1"];
    let mut dear = Vec::new();
    for rule in &ruleset.rules {
        let hir = literals::parse(&rule.spec.pattern).expect("a pattern");
        for _ in 0..TEXTS {
            let mut text = Vec::new();
            let mut piece = Vec::new();
            generate(&hir, &mut random, &mut piece);
            // Most of what it looks for, so that it does not end there.
            piece.truncate(random.below(piece.len()) + 1);
            while text.len() < 1024 {
                text.extend_from_slice(&piece);
                for _ in 0..random.below(6) {
                    text.extend_from_slice(between[random.below(between.len())]);
                }
            }
            rule.is_match(&text);
        }
        // States that all texts share fill it now and then; a gap with a bound does within a kilobyte.
        if rule.begun_anew() > TEXTS / 4 {
            dear.push((rule.begun_anew(), &rule.spec.id));
        }
    }
    assert!(dear.is_empty(), "a gap is to be without a bound in {dear:?}");
}

const SETTINGS: Settings = Settings {
    paranoia: 3,
    // So much that nothing is left out.
    max_decoded_bytes: 1 << 30,
    max_value_bytes: 1 << 20,
    sdp: true,
    text_bodies: true,
};

/// The (rule, field) of all rules held against all forms of all parts.
fn held_one_by_one(raw: &[u8], ruleset: &Ruleset) -> BTreeSet<(String, String)> {
    let message = sip::parse(raw);
    let mut found = BTreeSet::new();
    let mut places: Vec<(&str, Span)> = Vec::new();
    each(&message, Bodies { sdp: true, text: true }, |part| {
        let is_plain = shape::of(&part) == Shape::Plain;
        let all =
            if part.kind != PartKind::Name && !is_plain && (needs_decoding(part.value) || names_base64(part.value)) {
                forms(part.value, Stood::of(&part))
            } else {
                vec![part.value.into()]
            };
        let whole = shape::is_whole(&part);
        for rule in ruleset
            .rules
            .iter()
            .filter(|rule| rule.applies(&part) && !(is_plain && rule.is_code))
        {
            let inside = |span: Span| part.span.start <= span.start && span.end <= part.span.end;
            if whole && places.iter().any(|(id, span)| *id == rule.spec.id && inside(*span)) {
                continue;
            }
            if all.iter().any(|form| rule.is_match(form)) {
                found.insert((rule.spec.id.clone(), part.field.to_string()));
                places.push((&rule.spec.id, part.span));
            }
        }
        ControlFlow::Continue(())
    });
    found
}

/// The (rule, field) that a search finds, and whether that is all: of more than sixteen findings not all are kept.
fn found_in(raw: &[u8], ruleset: &Ruleset) -> (BTreeSet<(String, String)>, bool) {
    let message = sip::parse(raw);
    let findings = find(&message, ruleset, None, &SETTINGS, &mut Scratch::default()).findings;
    let pairs = findings
        .iter()
        .filter(|finding| finding.family != FAMILY)
        .map(|finding| (finding.rule.to_owned(), finding.field.to_string()));
    (pairs.collect(), findings.len() < MAX_FINDINGS)
}

#[test]
fn a_search_by_literals_finds_what_holding_all_rules_against_all_forms_does() {
    let ruleset = Ruleset::new(shipped(), &[]).expect("rules that compile");
    let trees = trees(&ruleset);
    let mut random = Random(0xbeef);
    let frames = [
        "INVITE sip:bob@example.com SIP/2.0\r\nFrom: \"@\" <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n\r\n",
        "INVITE sip:bob@example.com SIP/2.0\r\nFrom: @ <sip:a@b>;tag=1\r\nX-Own: a\r\n\r\n",
        "INVITE sip:@@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n",
        "INVITE sip:a@b;p=@?Subject=x SIP/2.0\r\nUser-Agent: y\r\n\r\n",
        "REGISTER sip:b SIP/2.0\r\nUser-Agent: @\r\nX-Own: a\r\n b\r\n\r\n",
        "REGISTER sip:b SIP/2.0\r\nCall-ID: @@h\r\nContact: <sip:@>;expires=1\r\n\r\n",
        "REGISTER sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK@;received=@\r\n\r\n",
        "REGISTER sip:b SIP/2.0\r\nAuthorization: Digest username=\"@\", uri=@, realm=x\r\n\r\n",
        "REGISTER sip:b SIP/2.0\r\nContent-Type: multipart/mixed;boundary=@\r\nX@: y\r\nAllow: a, @\r\n\r\n",
        "SIP/2.0 200 @\r\nServer: x @ y\r\nContact: <sip:a@@;transport=@>\r\n\r\n",
    ];
    let (mut hits, mut whole) = (0, 0);
    for round in 0..6000 {
        let tree = &trees[round % trees.len()];
        // An at sign that stands alone in a frame is replaced; the frame's own addresses keep theirs in most rounds.
        let frame = random.one(&frames);
        let mut raw = Vec::new();
        for (place, piece) in frame.split('@').enumerate() {
            if place > 0 {
                if random.below(3) == 0 {
                    raw.push(b'@');
                } else {
                    let mut text = Vec::new();
                    generate(tree, &mut random, &mut text);
                    // What ends a line or a quoted string would only end the test's own.
                    if random.below(4) > 0 {
                        text.retain(|byte| !matches!(byte, b'\r' | b'\n' | b'"'));
                    }
                    raw.extend_from_slice(&text);
                }
            }
            raw.extend_from_slice(piece.as_bytes());
        }
        let (known, (found, all)) = (held_one_by_one(&raw, &ruleset), found_in(&raw, &ruleset));
        hits += known.len();
        if all {
            whole += 1;
            assert_eq!(found, known, "in {:?}", String::from_utf8_lossy(&raw));
        } else {
            // Where a finding is not kept, the whole that its part belongs to has it too.
            let wholes = [".value", ".uri", ".user_password", ".parameters", ".uri_parameters"];
            let known = |(rule, field): &(String, String)| {
                wholes.iter().any(|whole| field.ends_with(whole)) || known.contains(&(rule.clone(), field.clone()))
            };
            assert!(found.iter().all(known), "in {:?}", String::from_utf8_lossy(&raw));
        }
    }
    assert!(
        hits > 10_000 && whole > 3000,
        "{hits} hits, {whole} messages were compared in full"
    );
}

/// What addresses and Via entries of the plainest form are made of, and what makes them another form.
const PIECES: [&str; 44] = [
    "sip:",
    "sips:",
    "tel:",
    "@",
    ":",
    ";",
    "=",
    "<",
    ">",
    "?",
    ".",
    "..",
    "-",
    "--",
    "~",
    "+49",
    "#",
    "!",
    ",",
    " ",
    "%41",
    "'",
    "\"",
    "[",
    "]",
    "::1",
    "2001:db8",
    "5060",
    "0",
    "a",
    "alice",
    "j.doe",
    "example.com",
    "192.0.2.1",
    "lr",
    "rport",
    "ob",
    "tag=",
    "branch=z9hG4bK",
    "transport=udp",
    "received=",
    "x=",
    "*",
    "(",
];

/// A value that most often is of the plainest form, with texts that patterns match wherever one may stand.
fn plain_like(random: &mut Random, trees: &[Hir]) -> String {
    let mut value = String::new();
    for shape in ["sip:", "u", "@", "h", ":5060", ";x=", "v", ";lr", ";tag=", "t"] {
        match random.below(24) {
            0 => value.push_str(PIECES[random.below(PIECES.len())]),
            1 if shape.len() < 5 => {}
            2..=5 if shape.len() == 1 => {
                let mut text = Vec::new();
                generate(random.one(trees), random, &mut text);
                text.retain(|byte| byte.is_ascii_alphanumeric() || b".-_~:+#".contains(byte));
                value.push_str(&String::from_utf8_lossy(&text));
            }
            _ => value.push_str(shape),
        }
    }
    value
}

#[test]
fn addresses_that_pass_together_hold_nothing_that_is_found_part_by_part() {
    let ruleset = Ruleset::new(shipped(), &[]).expect("rules that compile");
    let trees = trees(&ruleset);
    assert!(ruleset.settled.all && ruleset.settled.digits > 4);
    let mut random = Random(0xadd5);
    let (mut passed, mut hits) = (0, 0);
    for _ in 0..30_000 {
        let value = plain_like(&mut random, &trees);
        let sent_by = value.trim_start_matches("sip:");
        let via = format!("SIP/2.0/UDP {sent_by}");
        let tag = PIECES[random.below(PIECES.len())];
        let address = format!("<{value}>;tag={}", if random.below(4) == 0 { tag } else { "1" });
        // Whether each is accepted, and whether its user is given then.
        let rest = |rest: Option<plain::Rest>| rest.map(|rest| rest.user.is_some());
        let accepted = [
            rest(plain::bracketed(address.as_bytes())),
            plain::via(via.as_bytes()).map(|_| false),
            rest(plain::uri(value.as_bytes())),
        ];
        let raw = format!(
            "X {} SIP/2.0\r\nFrom: {address}\r\nVia: {via}\r\nExpires: {}\r\n\r\n",
            if accepted[2].is_some() { &value } else { "sip:b" },
            random.below(100_000),
        );
        // Of what is accepted every part is plain, but for users, which are given, and flags, which no rule matches.
        let message = sip::parse(raw.as_bytes());
        each(&message, Bodies { sdp: true, text: true }, |part| {
            let place = match part.header.id {
                names::FROM => 0,
                names::VIA => 1,
                names::REQUEST_URI => 2,
                _ => return ControlFlow::Continue(()),
            };
            let flag = plain::FLAGS.contains(&part.value.trim_ascii_start().strip_prefix(b";").unwrap_or(part.value));
            let given = part.kind == PartKind::Userinfo && accepted[place] == Some(true);
            if accepted[place].is_some() && !given && !flag {
                assert_eq!(shape::of(&part), Shape::Plain, "{} in {raw:?}", part.field);
            }
            ControlFlow::Continue(())
        });
        passed += accepted.iter().flatten().count();
        let (known, (found, all)) = (
            held_one_by_one(raw.as_bytes(), &ruleset),
            found_in(raw.as_bytes(), &ruleset),
        );
        hits += known.len();
        assert!(!all || found == known, "{found:?} instead of {known:?} in {raw:?}");
    }
    assert!(passed > 20_000 && hits > 6000, "{passed} passed, {hits} hits");
}

fn rule(id: &str, pattern: &str) -> RuleSpec {
    RuleSpec {
        id: id.to_owned(),
        pattern: pattern.to_owned(),
        score: 5,
        tight: 5,
        reason: "a test".to_owned(),
        ..RuleSpec::default()
    }
}

#[test]
fn literals_that_end_at_one_place_are_all_kept_or_none_is_relied_on() {
    // Both end at one byte; more stand before them than are told apart, so that the last kept is one of the two.
    let rules = vec![rule("t-long", "aqzxk"), rule("t-short", "zxk"), rule("t-pad", "wvjw")];
    let ruleset = Ruleset::new(rules, &[]).expect("rules");
    for padding in 1000..1050 {
        let raw = format!(
            "OPTIONS sip:b SIP/2.0\r\nX-Pad: {}\r\nX-End: aqzxk\r\nX-Next: azxk\r\n\r\n",
            "wvjw ".repeat(padding)
        );
        let known = held_one_by_one(raw.as_bytes(), &ruleset);
        assert_eq!(found_in(raw.as_bytes(), &ruleset), (known, true), "{padding}");
    }
}

/// The rules found in a message by the shipped set's bounds, and what could be scrubbed beside them.
fn kept(raw: &str, rules: Vec<RuleSpec>, max_decoded_bytes: usize) -> (Vec<String>, usize) {
    let ruleset = Ruleset::new(rules, &[]).expect("rules");
    let settings = Settings {
        max_decoded_bytes,
        ..SETTINGS
    };
    let message = sip::parse(raw.as_bytes());
    let kept = find(&message, &ruleset, None, &settings, &mut Scratch::default());
    let names = kept.findings.iter().map(|finding| finding.rule.to_owned()).collect();
    (names, kept.more.len())
}

#[test]
fn repeats_of_a_rule_hide_nothing() {
    let rules = || vec![rule("t-one", "qzxk"), rule("t-two", "wvjw")];
    let repeats = "Contact: <sip:qzxk@b>\r\n".repeat(40);
    let raw = format!("OPTIONS sip:b SIP/2.0\r\n{repeats}X-A: wvjw\r\nX-B: wvjw\r\nX-C: wvjw\r\n\r\n");
    let (names, more) = kept(&raw, rules(), 1 << 30);
    assert_eq!(names.len(), MAX_FINDINGS + 1);
    assert_eq!(names.last().map(String::as_str), Some("t-two"));
    // What is not kept is scrubbed all the same.
    assert_eq!(more, 2);
}

#[test]
fn a_request_that_is_too_dear_ends_in_a_finding_and_a_reply_is_scrubbed_of_what_is_not_looked_at() {
    let fields = "X-A: qzxk'\r\n".repeat(40);
    let rules = || vec![rule("t-one", "qzxk")];
    for (first, looked, scrubbed) in [("OPTIONS sip:b SIP/2.0", 4, 0), ("SIP/2.0 200 OK", 4, 36)] {
        let (names, left) = kept(&format!("{first}\r\n{fields}\r\n"), rules(), 80);
        let found = names.iter().filter(|name| *name == "value-overlong").count();
        assert_eq!(names.len() - found, looked, "{first}: {names:?}");
        assert_eq!(found + left, scrubbed.max(1), "{first}");
    }
}

#[test]
fn no_rule_matches_a_list_of_registered_words() {
    let ruleset = Ruleset::new(shipped(), &[]).expect("rules that compile");
    assert_eq!(ruleset.vocabulary.untouched(), [true; 3], "methods, CSeq, lists");
}
