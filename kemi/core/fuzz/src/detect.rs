//! What holds for whatever the search is given: findings that are in bounds, and none that a prefilter lost.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use sipsieve_core::detect::shape::{self, Shape};
use sipsieve_core::detect::{Finding, MAX_FINDINGS, Scratch, Settings, apart, transforms};
use sipsieve_core::engine::{Engine, Seen};
use sipsieve_core::sip::parts::{Bodies, each};
use sipsieve_core::sip::{Part, PartKind, Span, names};
use sipsieve_core::structure::FAMILY;

use crate::{MAX_INPUT, bounded, choice};

/// Bytes of an input in which every rule is tried on every part.
const MAX_PLAIN: usize = 1024;

const fn settings(paranoia: u8) -> Settings {
    Settings {
        paranoia,
        max_decoded_bytes: 3072,
        max_value_bytes: 1024,
        sdp: true,
        text_bodies: true,
    }
}

/// The rules that the package ships, by level from 1 to 3.
pub static ENGINES: LazyLock<[Engine; 3]> = LazyLock::new(|| {
    let ruleset = Arc::new(crate::rules());
    [1, 2, 3].map(|paranoia| Engine {
        ruleset: Arc::clone(&ruleset),
        max_bytes: 65535,
        settings: settings(paranoia),
        patches: Default::default(),
        model: None,
    })
});

pub fn check(data: &[u8]) {
    let data = &data[..data.len().min(MAX_INPUT)];
    let engine = &ENGINES[choice(data) as usize % 3];
    let mut scratch = Scratch::default();
    bounded("look", data.len(), || drop(engine.look(data, false, &mut scratch)));
    let seen = engine.look(data, false, &mut scratch);
    within_bounds(&seen);
    // What one look leaves behind is nothing to the next.
    let again = engine.look(data, false, &mut Scratch::default());
    assert_eq!(names(&seen), names(&again));
    assert!(engine.look(data, true, &mut scratch).malformed);
    if data.len() <= MAX_PLAIN {
        nothing_lost(engine, &seen);
    }
}

fn names<'s>(seen: &'s Seen<'_>) -> Vec<(&'s str, &'s str, usize)> {
    let name = |finding: &'s sipsieve_core::detect::Finding<'_>| (finding.rule, &*finding.field, finding.span.start);
    seen.findings.iter().map(name).collect()
}

fn within_bounds(seen: &Seen<'_>) {
    let raw = seen.message.raw;
    let repeats = |finding: &Finding<'_>| {
        let same = |other: &&Finding<'_>| other.rule == finding.rule && other.removable == finding.removable;
        seen.findings.iter().filter(same).count()
    };
    assert!(
        seen.findings
            .iter()
            .all(|finding| finding.family == FAMILY || repeats(finding) <= MAX_FINDINGS)
    );
    for span in &seen.more {
        assert!(span.start < span.end && span.end <= raw.len());
    }
    for finding in &seen.findings {
        assert!(finding.span.start <= finding.span.end && finding.span.end <= raw.len());
        assert!(finding.excerpt.len() <= 4096 && finding.score <= 10);
        assert!(!finding.removable || !finding.span.is_empty());
        assert!(!finding.rule.is_empty() && !finding.family.is_empty() && !finding.reason.is_empty());
        // A header field whose name only begins like these holds no credentials, and is shown as any other.
        let alike = seen.message.headers.iter().any(|header| {
            let name = header.raw_name.to_ascii_lowercase();
            header.name.id == names::OTHER && name.windows(14).any(|part| part == b"authorization.")
        });
        if !alike && finding.field.contains("authorization.") {
            assert!(finding.excerpt.is_empty(), "a secret in {}", finding.field);
        }
    }
}

/// Every rule tried on every form of every part finds what the search found.
fn nothing_lost(engine: &Engine, seen: &Seen<'_>) {
    let found = names(seen);
    // Beyond so many of any kind only one of each rule is kept.
    if seen.findings.len() >= MAX_FINDINGS || found.iter().any(|(rule, ..)| *rule == "value-overlong") {
        return;
    }
    let bodies = Bodies { sdp: true, text: true };
    let inside = |whole: &Part<'_>, rule: &str| {
        let within = |span: Span| whole.span.start <= span.start && span.end <= whole.span.end;
        seen.findings
            .iter()
            .any(|finding| finding.rule == rule && within(finding.span))
    };
    each(&seen.message, bodies, |part| {
        let is_plain = shape::of(&part) == Shape::Plain;
        let needed = part.kind != PartKind::Name
            && !is_plain
            && (transforms::needs_decoding(part.value) || transforms::names_base64(part.value));
        let forms = if needed {
            transforms::forms(part.value, transforms::Stood::of(&part))
        } else {
            vec![part.value.into()]
        };
        let field = part.field.to_string();
        for rule in &engine.ruleset.rules {
            let spec = &rule.spec;
            if spec.paranoia > engine.settings.paranoia
                || spec.score.min(spec.tight) == 0
                || spec.made == Some(0)
                // What is not in a single value of such a part does not count.
                || (spec.apart && apart::may_be(&part))
                || !rule.applies(&part)
                || (is_plain && rule.is_code)
                || (shape::is_whole(&part) && inside(&part, &spec.id))
                || rule.excepted(&part)
            {
                continue;
            }
            let read = if spec.as_sent { &forms[..1] } else { &forms[..] };
            if let Some(form) = read.iter().find(|form| rule.is_match(form)) {
                assert!(
                    found.contains(&(&spec.id, &field, part.span.start)),
                    "{} is in {field} as {:?}, and was not found",
                    spec.id,
                    String::from_utf8_lossy(form)
                );
            }
        }
        ControlFlow::Continue(())
    });
}
