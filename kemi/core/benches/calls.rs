//! What destinations, accounts and standing cost a decision: `cargo bench --bench calls -- all|off|destinations|accounts|both|standing
//! [ROUNDS]`.
//!
//! Each round decides on a call abroad with credentials, one at home, and a registration; with `standing` the source proves itself
//! once more and is one that could lose it. `all` takes turns, so that the ratios are of one run. Under
//! `valgrind --tool=callgrind` the difference of two numbers of rounds tells the instructions of a round.

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sipsieve_core::detect::{Ruleset, Scratch, Settings};
use sipsieve_core::engine::Engine;
use sipsieve_core::judge::accounts::{Accounts, Bounds};
use sipsieve_core::judge::counters::{Counters, Shared, WINDOW};
use sipsieve_core::judge::destinations::{Destinations, EXPENSIVE, Entry, Payer, Rate};
use sipsieve_core::judge::limits::Limits;
use sipsieve_core::judge::policy::{Bodiless, LostBy, Policy};
use sipsieve_core::judge::{Judge, Scope};
use sipsieve_core::networks::Networks;
use sipsieve_core::numbering::{Bare, Plan, Prefixes};
use sipsieve_core::state::earned::Terms;
use sipsieve_core::state::memory::Memory;

fn entry() -> Entry {
    Entry {
        name: "office".to_owned(),
        enforce: true,
        places: Default::default(),
        networks: Vec::new(),
        domains: Vec::new(),
        accounts: Vec::new(),
        payer: Payer::Source,
        exclusive: false,
        prefixes: Prefixes::new(&[("870".to_owned(), EXPENSIVE)]),
        countries: Vec::new(),
        classes: Vec::new(),
        expensive: Rate {
            per_minute: 1_000_000,
            per_hour: 1_000_000,
        },
        abroad: Rate {
            per_minute: 1_000_000,
            per_hour: 1_000_000,
        },
        countries_per_hour: 1_000_000,
        block_per_hour: 1_000_000,
        spellings_per_hour: 1_000_000,
        short_seconds: 10,
        short_per_hour: 1_000_000,
        callers_per_hour: 1_000_000,
        off_hours: None,
    }
}

fn policy(destinations: bool, accounts: bool) -> Policy {
    let bounds = Bounds {
        enforce: true,
        guesses: 1_000_000,
        failures: 1_000_000,
        spray: 1_000_000,
        sources: 1_000_000,
        calls_per_hour: 1_000_000,
        numbers: 1_000_000,
        ..Bounds::default()
    };
    Policy {
        enforce: true,
        actions: HashMap::new(),
        reject_score: 5,
        scrub_score: 3,
        observed: HashSet::new(),
        bodiless: Bodiless::Allow,
        limits: Limits::new(false, 0, &[[(0, 0); 10]]),
        accounts: Accounts::new(if accounts { bounds } else { Bounds::default() }, Vec::new()),
        destinations: Destinations {
            plan: Plan {
                country: b"49".to_vec(),
                international: vec![b"00".to_vec()],
                national: vec![b"0".to_vec()],
                outside: Vec::new(),
                bare: Bare::Inside,
            },
            entries: if destinations { vec![entry()] } else { Vec::new() },
            countries: Prefixes::new(&[("33".to_owned(), 0), ("49".to_owned(), 1)]),
            country_names: vec!["FR".to_owned(), "DE".to_owned()],
            ..Destinations::default()
        },
        drop_excess: false,
        excess_status: 503,
        bans: false,
        ban_steps: vec![60],
        udp_max_seconds: 60,
        terms: Terms { enough: 3, fades: 180 },
        lost_by: LostBy::default(),
        tenants: HashMap::new(),
    }
}

fn message(method: &str, number: &str, round: usize) -> Vec<u8> {
    format!(
        "{method} sip:{number}@pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{round:08}\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@example.com>;tag=a1\r\nTo: <sip:{number}@pbx.example.com>\r\n\
         Call-ID: {method}{number}{round:08}@192.0.2.1\r\nCSeq: 2 {method}\r\nContact: <sip:alice@192.0.2.1:5060>\r\n\
         Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"abc\", uri=\"sip:x\", response=\"0\"\r\n\
         User-Agent: Phone\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// Microseconds of a round.
fn round(what: &str, rounds: usize) -> f64 {
    let standing = what == "standing";
    let mut rules = policy(
        matches!(what, "destinations" | "both"),
        matches!(what, "accounts" | "both"),
    );
    if standing {
        rules.lost_by = LostBy {
            ban: true,
            attack: true,
            account: true,
            destination: true,
        };
    }
    let judge = Judge {
        engine: Arc::new(Engine {
            ruleset: Arc::new(Ruleset::new(Vec::new(), &[]).expect("no rules")),
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
        }),
        networks: Arc::new(Networks::new(Vec::new(), 32, 64)),
        policy: rules,
    };
    let tables = Memory::new(65_536, None, 1, 10, Duration::ZERO).expect("memory");
    let source = judge.networks.source("192.0.2.1", 5060, "udp");
    let now = 3_600_000;
    let counters = Shared {
        tables: &tables,
        window: now / WINDOW,
        wall: now,
        now,
        offence: |_: &str, _: Scope| 0,
        terms: judge.policy.terms,
        told: |_: &str, _: &str, _: u64| {},
    };
    let mut scratch = Scratch::default();
    let began = Instant::now();
    for round in 0..rounds {
        for (method, number) in [
            ("INVITE", "0033140000001"),
            ("INVITE", "030123456"),
            ("REGISTER", "alice"),
        ] {
            let raw = message(method, number, round);
            let mut seen = judge.engine.look(black_box(&raw), false, &mut scratch);
            black_box(judge.decide(&mut seen, &source, now, &counters, &|| Some(true), false));
        }
        if standing {
            counters.earn(black_box(source.key()), "call", now + 60 * round as u64);
        }
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(rounds.max(1)).expect("rounds"))
}

/// Turns of `all`: the least of each is shown.
const TURNS: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let what = arguments.first().map_or("all", String::as_str);
    let rounds = arguments
        .get(1)
        .map_or(10_000, |rounds| rounds.parse().expect("a number of rounds"));
    if what != "all" {
        println!("{what}: {:.2} µs a round of three requests", round(what, rounds));
        return;
    }
    let names = ["off", "destinations", "accounts", "both", "standing"];
    let mut least = [f64::MAX; 5];
    for _ in 0..TURNS {
        for (name, least) in names.iter().zip(&mut least) {
            *least = least.min(round(name, rounds));
        }
    }
    for (name, least_of) in names.iter().zip(least) {
        println!(
            "{name:<14}{least_of:>8.2} µs a round of three requests{:>8.2}",
            least_of / least[0]
        );
    }
}
