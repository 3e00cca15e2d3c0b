//! What looking at ordinary messages costs: `cargo bench --bench mix -- RULES MESSAGES [ROUNDS]`.
//!
//! RULES and MESSAGES are what `bench/messages.py` writes: the rules, a line each, and each message behind its length,
//! four bytes, the lowest first. Under `valgrind --tool=callgrind` the first round is what a worker's first messages cost.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use sipsieve_core::detect::{Ruleset, Scratch, Settings};
use sipsieve_core::engine::Engine;

#[path = "rules/mod.rs"]
mod rules;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let [rules, messages, more @ ..] = arguments.as_slice() else {
        println!("mix: name the rules and the messages, see the file's head");
        return;
    };
    let rounds = more
        .first()
        .map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let text = std::fs::read_to_string(rules).expect("the rules");
    let bytes = std::fs::read(messages).expect("the messages");
    let mut all = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (message, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        all.push(message);
        rest = behind;
    }
    let began = Instant::now();
    let ruleset = Arc::new(Ruleset::new(rules::read(&text), &[]).expect("rules that compile"));
    println!("rules made ready in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    let engine = Engine {
        ruleset,
        max_bytes: 65535,
        settings: Settings {
            paranoia: 1,
            max_decoded_bytes: 3072,
            max_value_bytes: 1024,
            sdp: true,
            text_bodies: false,
        },
        patches: Default::default(),
        model: None,
    };
    engine.warm();
    let held = || engine.ruleset.rules.iter().map(|rule| rule.held()).sum::<usize>();
    println!("{} bytes kept for patterns once it is warm", held());
    let mut scratch = Scratch::default();
    for round in 0..rounds {
        let began = Instant::now();
        let mut odd = 0;
        for message in &all {
            let seen = engine.look(black_box(message), false, &mut scratch);
            odd += usize::from(!black_box(seen).findings.is_empty());
        }
        let nanoseconds = began.elapsed().as_nanos() as f64 / all.len().max(1) as f64;
        println!(
            "round {round}: {nanoseconds:.0} ns a message, {odd} of {} with findings",
            all.len()
        );
    }
    println!("{} bytes kept for patterns in the end", held());
}
