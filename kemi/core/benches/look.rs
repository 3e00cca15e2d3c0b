//! What looking at one message costs, step by step: `cargo bench --bench look -- RULES MESSAGE...`.
//!
//! RULES is what `python -m sipsieve.detection.ruleset` prints: a rule a line, its fields separated by tabs. Each MESSAGE is a file.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use sipsieve_core::detect::{self, Ruleset, Scratch, Settings};
use sipsieve_core::engine::Engine;
use sipsieve_core::{sip, structure};

#[path = "rules/mod.rs"]
mod rules;

/// The median of many rounds, in nanoseconds.
fn timed(mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    work();
    // Long messages need no repeats to be timed.
    let calls = if began.elapsed().as_micros() > 100 { 4 } else { 300 };
    let mut rounds: Vec<f64> = (0..30)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..calls {
                work();
            }
            began.elapsed().as_nanos() as f64 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(path) = arguments.next() else {
        println!("look: name the rules and at least one message, see the file's head");
        return;
    };
    let text = std::fs::read_to_string(&path).expect("the rules");
    let began = Instant::now();
    let ruleset = Arc::new(Ruleset::new(rules::read(&text), &[]).expect("rules that compile"));
    let (bytes, literals, without) = ruleset.size();
    println!(
        "rules made ready in {:.1} ms: {literals} literals in {bytes} bytes, {without} rules without one",
        began.elapsed().as_secs_f64() * 1e3
    );
    let settings = Settings {
        paranoia: 1,
        max_decoded_bytes: 3072,
        max_value_bytes: 1024,
        sdp: true,
        text_bodies: false,
    };
    let engine = Engine {
        ruleset: Arc::clone(&ruleset),
        max_bytes: 65535,
        settings,
        patches: Default::default(),
        model: None,
    };
    for path in arguments {
        let raw = std::fs::read(&path).expect("a message");
        let mut scratch = Scratch::default();
        let read = timed(|| {
            black_box(sip::parse(black_box(&raw)));
        });
        let checked = timed(|| {
            let mut message = sip::parse(black_box(&raw));
            structure::check(&mut message, 65535);
            black_box(&message);
        });
        let message = sip::parse(&raw);
        let mut hits = 0u32;
        let scan = timed(|| {
            hits = 0;
            ruleset.scan(black_box(&raw[..message.body_start]), |_| {
                hits += 1;
                ControlFlow::Continue(())
            });
        });
        let found = timed(|| {
            black_box(detect::find(
                black_box(&message),
                &ruleset,
                None,
                &engine.settings,
                &mut scratch,
            ));
        });
        let all = timed(|| {
            black_box(engine.look(black_box(&raw), false, &mut scratch));
        });
        println!(
            "{path}: {} bytes: read {read:.0} ns, with its checks {checked:.0}, scanned {scan:.0} ({hits} hits), \
             searched {found:.0}, all {all:.0}",
            raw.len()
        );
    }
}
