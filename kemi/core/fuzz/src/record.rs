//! What holds for whatever a record is made of: one line of printable ASCII, JSON, bounded, no secret, no number unmasked.

use sipsieve_core::detect::Scratch;
use sipsieve_core::geo::Place;
use sipsieve_core::record::{Ban, Decision, Finding, Mask, Recorder, Settings};

use crate::detect::ENGINES;
use crate::{MAX_INPUT, choice};

/// A number that a mask must hide, and a secret that never is written. No seed has them.
const NUMBER: &str = "+4930567812349";
const SECRET: &str = "5ec0e7a1b2c3d4e5";

/// Bytes of a line that are no value of the message.
const FRAME: usize = 8192;

/// Bytes that a byte of the message may become: an escape of JSON, or four of a byte that is no UTF-8 with its backslash.
const ESCAPED: usize = 6;

pub fn check(data: &[u8]) {
    let data = &data[..data.len().min(MAX_INPUT)];
    let choice = choice(data);
    let excerpt_bytes = [0, 16, 256, 4096][choice as usize & 3];
    let raw_bytes = [0, 64, 65535][(choice >> 2) as usize % 3];
    for replay in [false, true] {
        line(data, choice, excerpt_bytes, raw_bytes, replay);
        planted(data, excerpt_bytes, raw_bytes, replay);
    }
}

fn recorder(masked: u32, excerpt_bytes: usize, raw_bytes: usize, replay: bool) -> Recorder {
    Recorder::new(Settings {
        rules: "0123456789ab",
        policy: "ba9876543210",
        mode: "enforce",
        excerpt_bytes,
        raw_bytes,
        replay,
        record_bytes: 2048,
        mask: (masked > 0).then(|| Mask::new(b"a key", masked > 1)),
    })
}

/// One record of a message, as the guard writes it.
fn written(recorder: &mut Recorder, data: &[u8], choice: u32) -> (Vec<u8>, usize) {
    let mut scratch = Scratch::default();
    let seen = ENGINES[choice as usize % 3].look(data, choice & 64 > 0, &mut scratch);
    let findings: Vec<Finding<'_>> = seen.findings.iter().map(Into::into).collect();
    let fields: usize = findings.iter().map(|finding| finding.field.len()).sum();
    let mut line = Vec::new();
    // Of a source with a home now and then.
    let place = Place {
        country: (choice & 16 > 0).then_some(*b"NL"),
        asn: choice,
        organization: (choice & 8 > 0).then(|| "Example Networks".into()),
    };
    recorder.decision(
        &mut line,
        &Decision {
            now: f64::from(choice),
            steady: Some(u64::from(choice)),
            ip: "192.0.2.7",
            port: 5060,
            transport: "udp",
            place: &place,
            action: "reject",
            id: "start-1-",
            number: Some(choice.into()),
            reason: findings.first().map_or(b"", |finding| finding.excerpt),
            status: 403,
            enforced: choice & 32 > 0,
            counters: &[("invite", 1), ("targets", u64::MAX)],
            ban: (choice & 128 > 0).then_some(Ban {
                source: "192.0.2.7",
                seconds: 600,
                rule: "limit-invite",
            }),
            findings: &findings,
            message: &seen.message,
        },
    );
    (line, fields)
}

/// A line's value, where it is one.
fn read(line: &[u8]) -> serde_json::Value {
    let text = line.strip_suffix(b"\n").expect("a line end");
    assert!(
        text.iter().all(|byte| (0x20..0x7f).contains(byte)),
        "only printable ASCII: {line:?}"
    );
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)))
}

fn line(data: &[u8], choice: u32, excerpt_bytes: usize, raw_bytes: usize, replay: bool) {
    for masked in 0..3 {
        let mut recorder = recorder(masked, excerpt_bytes, raw_bytes, replay);
        let (line, fields) = written(&mut recorder, data, choice);
        let value = read(&line);
        for name in [
            "@timestamp",
            "source",
            "event",
            "rule",
            "policy",
            "ecs",
            "sipsieve",
            "sip",
        ] {
            assert!(value.get(name).is_some(), "{name} is missing");
        }
        assert_eq!(value["sipsieve"]["bytes"], data.len());
        assert_eq!(value["source"]["ip"], "192.0.2.7");
        assert!(
            value
                .get("findings")
                .is_none_or(|list| list.as_array().is_some_and(|list| list.len() <= 8))
        );
        // A field's name may be a parameter's.
        let mut most = FRAME + ESCAPED * (10 * excerpt_bytes.min(data.len()) + raw_bytes.min(data.len()) + 3 * fields);
        most += ESCAPED * 8 * 256;
        if masked > 0 {
            // A mask is longer than a short number.
            most *= 4;
        }
        assert!(line.len() <= most, "{} bytes; {most} at the most", line.len());
        // The same again: nothing is kept from one record to the next.
        assert_eq!(written(&mut recorder, data, choice).0, line);
    }
}

/// A number in From and a secret in credentials, before what else there is.
fn planted(data: &[u8], excerpt_bytes: usize, raw_bytes: usize, replay: bool) {
    let known = |text: &str| {
        data.windows(4)
            .any(|piece| text.as_bytes().windows(4).any(|known| known == piece))
    };
    if known(NUMBER) || known(SECRET) {
        return;
    }
    let head = format!(
        "REGISTER sip:h SIP/2.0\r\nAuthorization: Digest username=\"a\", nonce=\"{SECRET}\", response=\"{SECRET}\"\r\n\
         From: <sip:{NUMBER}@h>;tag=1\r\n"
    );
    let raw = [head.as_bytes(), data].concat();
    for masked in 0..3 {
        let (line, _) = written(&mut recorder(masked, excerpt_bytes, raw_bytes, replay), &raw, masked);
        let value = read(&line);
        let text = String::from_utf8_lossy(&line);
        assert!(!text.contains(SECRET), "a secret in {text}");
        // A record that would be too long is written with shorter values.
        let from = value["sip"]["from"]["uri"]["original"].as_str().unwrap_or_default();
        let is_whole = !from.ends_with('\u{2026}');
        assert_eq!(text.contains(NUMBER), masked == 0 && is_whole, "mask {masked}: {text}");
    }
}
