//! What holds for whatever is scrubbed: nothing is left to find, and nothing else is changed.

use sipsieve_core::detect::Scratch;
use sipsieve_core::detect::scrub::{PLACEHOLDER, body_start, scrub};
use sipsieve_core::sip::{Kind, Span};

use crate::detect::ENGINES;
use crate::{MAX_INPUT, choice};

pub fn check(data: &[u8]) {
    let data = &data[..data.len().min(MAX_INPUT)];
    anywhere(data);
    let engine = &ENGINES[choice(data) as usize % 3];
    let mut scratch = Scratch::default();
    let seen = engine.look(data, false, &mut scratch);
    let spans: Vec<Span> = seen
        .findings
        .iter()
        .filter(|finding| finding.removable)
        .map(|finding| finding.span)
        .chain(seen.more.iter().copied())
        .collect();
    if spans.is_empty() {
        return;
    }
    let made = scrub(data, spans.clone());
    unchanged(data, &spans, &made);
    // As it is decided: a request with nothing but what can be taken out.
    let all = seen
        .findings
        .iter()
        .all(|finding| finding.removable || finding.score == 0);
    if seen.message.kind != Kind::Request || !all {
        return;
    }
    let again = engine.look(&made, false, &mut scratch);
    for left in again.findings.iter().filter(|finding| finding.score > 0) {
        // Where a placeholder stands in broken grammar, what is beside it may be read as another part. Whoever decides looks
        // again for that reason; in all other header fields nothing is left.
        let name = header(&left.field);
        let beside = seen.findings.iter().any(|finding| header(&finding.field) == name);
        assert!(
            beside,
            "{} is still in {}: {:?}",
            left.rule,
            left.field,
            String::from_utf8_lossy(&made)
        );
    }
}

/// The header field's name and number in a part's name.
fn header(field: &str) -> &str {
    field.split('.').next().unwrap_or_default()
}

/// Whatever the spans are, even such as no finding has.
fn anywhere(data: &[u8]) {
    let size = data.len() + 2;
    let spans: Vec<Span> = data
        .chunks_exact(4)
        .take(8)
        .map(|chunk| Span {
            start: (usize::from(chunk[0]) << 8 | usize::from(chunk[1])) % size,
            end: (usize::from(chunk[2]) << 8 | usize::from(chunk[3])) % size,
        })
        .collect();
    unchanged(data, &spans, &scrub(data, spans.clone()));
}

/// What is outside the spans stands in `made` in its order, with no more between than placeholders.
fn unchanged(raw: &[u8], spans: &[Span], made: &[u8]) {
    let mut spans: Vec<Span> = spans
        .iter()
        .copied()
        .filter(|span| !span.is_empty() && span.end <= raw.len())
        .collect();
    spans.sort_unstable();
    let (mut from, mut rest) = (0, made);
    for span in spans {
        if span.start < from {
            continue;
        }
        rest = rest
            .strip_prefix(&raw[from..span.start])
            .expect("what stood before is there");
        rest = placed(rest, span.start >= body_start(raw), span.end - span.start);
        from = span.end;
    }
    assert_eq!(rest, &raw[from..]);
}

/// What follows a placeholder; one in a body is as long as what stood there.
fn placed(made: &[u8], in_body: bool, size: usize) -> &[u8] {
    if !in_body {
        return made.strip_prefix(PLACEHOLDER).expect("a placeholder");
    }
    let (body, rest) = made.split_at(size);
    let shown = size.min(PLACEHOLDER.len());
    assert_eq!(body[..shown], PLACEHOLDER[..shown]);
    assert!(
        body[shown..].iter().all(|&byte| byte == b' '),
        "blanks behind a placeholder"
    );
    rest
}
