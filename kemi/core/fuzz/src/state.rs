//! What holds for whatever is done to the shared tables, one step after the other: they answer as plain maps do.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use sipsieve_core::state::counters::{Counters, MOST};
use sipsieve_core::state::dialogs::{Dialogs, LIFE};
use sipsieve_core::state::hash::Secret;
use sipsieve_core::state::marks::Marks;
use sipsieve_core::state::retransmissions::{self, Retransmissions, TRANSACTION};
use sipsieve_core::state::tallies::{Key, Tallies, Writer};

/// Steps of one sequence.
const MAX_STEPS: usize = 512;

/// Names are few, and the tables so large that none is pushed out.
const NAMES: u64 = 16;

/// Seconds of an interval of tallies.
const INTERVAL: u64 = 10;

/// Seconds from which on time runs: in a window's first second.
const BEGIN: u64 = 60 * 4000;

static SECRET: LazyLock<Arc<Secret>> = LazyLock::new(|| Arc::new(Secret::new([1, 2])));

/// Of a name and what it is about; without neighbours in the table of counters.
fn identity(name: u64, about: u64) -> u64 {
    SECRET.identity(&[&name.to_be_bytes(), &about.to_be_bytes()])
}

#[derive(Default)]
struct Model {
    counters: HashMap<(u64, u64), u64>,
    began: HashMap<u64, u64>,
    copies: HashMap<u64, (u64, u64)>,
    dialogs: HashMap<u64, u64>,
    marks: HashMap<u64, (u32, u64)>,
    tallied: u64,
}

struct Tables {
    counters: Counters,
    copies: Retransmissions,
    dialogs: Dialogs,
    marks: Marks,
    tallies: Arc<Tallies>,
    writer: Writer,
}

impl Tables {
    fn new() -> Option<Self> {
        let tallies = Arc::new(Tallies::new(1, INTERVAL).ok()?);
        Some(Self {
            counters: Counters::new(64).ok()?,
            copies: Retransmissions::new(256).ok()?,
            dialogs: Dialogs::new(256).ok()?,
            marks: Marks::new(4096).ok()?,
            writer: Writer::attach(Arc::clone(&tallies), Arc::clone(&SECRET), 0)?,
            tallies,
        })
    }
}

/// Two bytes are a step: what is done and how much time has passed, to which name and with how much.
pub fn check(data: &[u8]) {
    let tables = Tables::new();
    let mut tables = tables.expect("memory for the tables");
    let mut model = Model::default();
    let mut now = BEGIN;
    for step in data.chunks_exact(2).take(MAX_STEPS) {
        now += [0, 0, 1, 2, 7, 31, 59, 1800][usize::from(step[0] >> 5)];
        let (name, amount) = (u64::from(step[1]) % NAMES, u64::from(step[1] / 16));
        match step[0] & 31 {
            0..=5 => raise(&tables, &mut model, name, now / 60, amount),
            6..=8 => standing(&tables, &model, name, now / 60),
            9 => sweep(&tables, &mut model, now / 60),
            10 => {
                tables.counters.forget();
                model.counters.clear();
                model.began.clear();
            }
            11..=14 => copy(&tables, &mut model, name, now),
            15..=16 => {
                tables.dialogs.remember(identity(name, 2), now);
                model.dialogs.insert(name, now);
            }
            17..=19 => {
                let since = model.dialogs.get(&name);
                let known = since.is_some_and(|since| (now - since) as i64 <= LIFE);
                assert_eq!(tables.dialogs.knows(identity(name, 2), now), known);
            }
            20..=21 => {
                tables.marks.mark(identity(name, 3), amount as u32 + 1, now);
                model.marks.insert(name, (amount as u32 + 1, now));
            }
            22..=24 => marked(&tables, &model, name, now, amount * 4),
            25..=29 => tally(&mut tables, &mut model, name, now),
            _ => drain(&tables, &mut model, now, amount == 15),
        }
    }
    drain(&tables, &mut model, now, true);
    assert_eq!(model.tallied, 0, "messages that no count holds");
}

fn raise(tables: &Tables, model: &mut Model, name: u64, window: u64, amount: u64) {
    let amount = match amount {
        15 => MOST - 1,
        0 => 1,
        few => few,
    };
    let count = model.counters.entry((name, window)).or_default();
    if *count == 0 {
        *model.began.entry(window).or_default() += 1;
    }
    *count = (*count + amount).min(MOST);
    assert_eq!(tables.counters.increase(identity(name, window), window, amount), *count);
}

fn standing(tables: &Tables, model: &Model, name: u64, window: u64) {
    for of in [window, window - 1] {
        let count = model.counters.get(&(name, of)).copied().unwrap_or(0);
        assert_eq!(tables.counters.get(identity(name, of), window), count);
    }
    let began = model.began.get(&window).copied().unwrap_or(0);
    assert_eq!(tables.counters.begun(window), began);
    assert!(
        tables
            .counters
            .admits(identity(name, window), || identity(name, window - 1), window)
    );
}

fn sweep(tables: &Tables, model: &mut Model, window: u64) {
    tables.counters.sweep(window);
    model.counters.retain(|(_, of), _| window - of <= 1);
    assert_eq!(tables.counters.sweep(window), 0);
}

fn copy(tables: &Tables, model: &mut Model, name: u64, now: u64) {
    let (since, copies) = model.copies.get(&name).copied().unwrap_or((now, 0));
    let next = if now - since <= TRANSACTION {
        (since, (copies + 1).min(retransmissions::MOST))
    } else {
        (now, 1)
    };
    model.copies.insert(name, next);
    assert_eq!(tables.copies.copies(identity(name, 1), now), next.1);
}

fn marked(tables: &Tables, model: &Model, name: u64, now: u64, life: u64) {
    let known = model.marks.get(&name).filter(|(_, since)| now - since <= life);
    let value = known.map_or(0, |(value, _)| *value);
    assert_eq!(tables.marks.marked(identity(name, 3), now, life), value);
}

fn tally(tables: &mut Tables, model: &mut Model, name: u64, now: u64) {
    let ip = format!("192.0.2.{name}");
    let key = Key {
        ip: ip.as_bytes(),
        method: b"INVITE",
        verdict: b"allow",
        transport: b"udp",
        rule: b"",
    };
    tables.writer.tally(key, now as f64);
    model.tallied += 1;
}

fn drain(tables: &Tables, model: &mut Model, now: u64, everything: bool) {
    tables.tallies.collect(now as f64, everything);
    for (place, entry) in tables.tallies.waiting() {
        taken(model, std::slice::from_ref(&entry));
        tables.tallies.written(place, entry.messages);
    }
}

fn taken(model: &mut Model, entries: &[sipsieve_core::state::tallies::Entry]) {
    for entry in entries {
        assert!(entry.messages > 0 && entry.first <= entry.last);
        assert!(entry.ip.starts_with("192.0.2.") && entry.method == "INVITE");
        model.tallied = model
            .tallied
            .checked_sub(entry.messages)
            .expect("a count handed out twice");
    }
}
