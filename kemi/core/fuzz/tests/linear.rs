//! Cost grows with length and no faster: what repeats one piece up to 64 KiB takes about eight times what 8 KiB take.

use std::hint::black_box;

use sipsieve_core::detect::Scratch;
use sipsieve_core::geo::Place;
use sipsieve_core::record::{Decision, Recorder, Settings};
use sipsieve_core_fuzz::detect::ENGINES;
use sipsieve_core_fuzz::processor_time;

const SMALL: usize = 8 * 1024;
const LARGE: usize = 64 * 1024 - 1;

/// Times as much as linear growth, for noise and caches. Growth with the square is eight times as much.
const SLACK: f64 = 3.0;

/// Below this a measurement is noise.
const LEAST: f64 = 0.3e-3;

const PIECES: [&str; 22] = [
    "a",
    "\"",
    "<",
    "<sip:",
    "\\",
    ";",
    ";a=",
    ",",
    "%25",
    "&amp;",
    "/*",
    "/**/",
    " \t",
    "\r\n ",
    "\r\nTo: a",
    "\r\n:",
    "=",
    "nonce=",
    "@",
    "${",
    "sip:1@",
    "\u{fdfa}",
];

fn large(head: &str, piece: &str, size: usize) -> Vec<u8> {
    let mut raw = format!("INVITE sip:a@b SIP/2.0\r\n{head}").into_bytes();
    while raw.len() + piece.len() + 4 < size {
        raw.extend_from_slice(piece.as_bytes());
    }
    raw.extend_from_slice(b"\r\n\r\n");
    raw
}

/// Seconds for one message, the least of some.
fn cost(raw: &[u8]) -> f64 {
    let mut scratch = Scratch::default();
    let mut recorder = Recorder::new(Settings {
        rules: "0123456789ab",
        policy: "0123456789ab",
        mode: "enforce",
        excerpt_bytes: 4096,
        raw_bytes: 65535,
        replay: true,
        record_bytes: 2048,
        mask: Some(sipsieve_core::record::Mask::new(b"a key", true)),
    });
    let mut line = Vec::new();
    let mut least = f64::MAX;
    for _ in 0..5 {
        let began = processor_time();
        let seen = ENGINES[0].look(black_box(raw), false, &mut scratch);
        line.clear();
        recorder.decision(
            &mut line,
            &Decision {
                place: &Place::default(),
                now: 1.0,
                steady: Some(1),
                ip: "192.0.2.7",
                port: 5060,
                transport: "udp",
                action: "reject",
                id: "",
                number: None,
                reason: b"",
                status: 403,
                enforced: true,
                counters: &[],
                ban: None,
                findings: &[],
                message: &seen.message,
            },
        );
        least = least.min(processor_time() - began);
    }
    least
}

#[test]
fn no_message_costs_more_than_its_length() {
    let mut worst = (0.0, String::new());
    for head in [
        "",
        "X-A: ",
        "From: ",
        "From: \"",
        "Via: SIP/2.0/UDP a;b=",
        "Contact: <sip:",
        "Authorization: Digest ",
    ] {
        for piece in PIECES {
            // Noise makes a measurement longer, never shorter: one good one of three is enough.
            let times = |_| {
                let (small, most) = (cost(&large(head, piece, SMALL)), cost(&large(head, piece, LARGE)));
                most / (small * LARGE as f64 / SMALL as f64).max(LEAST)
            };
            let mut least = times(0);
            for again in 1..3 {
                if least > SLACK {
                    least = least.min(times(again));
                }
            }
            if least > worst.0 {
                worst = (least, format!("{head:?} with {piece:?}"));
            }
        }
    }
    assert!(worst.0 <= SLACK, "{} times what is linear: {}", worst.0, worst.1);
}
