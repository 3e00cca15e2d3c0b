//! What the tables cost, in nanoseconds: `cargo test --release --lib state::cost -- --ignored --nocapture`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use super::{
    counters::Counters, dialogs::Dialogs, hash::Secret, marks::Marks, retransmissions::Retransmissions, tallies,
};

const ROUNDS: u64 = 1_000_000;

fn time(what: &str, mut work: impl FnMut(u64)) {
    let begun = Instant::now();
    (0..ROUNDS).for_each(&mut work);
    println!("{what}: {:.1} ns", begun.elapsed().as_secs_f64() * 1e9 / ROUNDS as f64);
}

#[test]
#[ignore = "a measurement"]
fn cost() {
    let secret = Secret::new([1, 2]);
    for size in [16, 100, 700, 1400] {
        let message = vec![b'x'; size];
        time(&format!("identity of {size} bytes"), |_| {
            black_box(secret.identity(&[black_box(&message)]));
        });
    }
    let counters = Counters::new(32768).unwrap();
    time("raise one of 4096 counters", |number| {
        assert!(counters.increase(number & 4095, 1, 1) > 0)
    });
    let table = Retransmissions::new(super::memory::RETRANSMISSIONS).unwrap();
    time("copies of a new message", |number| {
        assert!(table.copies(number, number / 4000) > 0)
    });
    let dialogs = Dialogs::new(super::memory::DIALOGS).unwrap();
    (0..100_000).for_each(|name| dialogs.remember(name, 1));
    let mut known = 0;
    time("knows a dialog", |number| {
        known += u64::from(dialogs.knows(number % 100_000, 1))
    });
    // Among so many a set of eight places or two is full.
    println!("{} of 100000 dialogs known", known / (ROUNDS / 100_000));
    assert!(known / (ROUNDS / 100_000) > 99_900);
    let marks = Marks::new(super::memory::MARKS).unwrap();
    time("mark", |number| marks.mark(number & 1023, 1, 1));
    let tallies = Arc::new(tallies::Tallies::new(1, 10).unwrap());
    let mut writer = tallies::Writer::attach(tallies, Arc::new(secret), 0).unwrap();
    let key = tallies::Key {
        ip: b"192.0.2.17",
        method: b"INVITE",
        verdict: b"allow",
        transport: b"udp",
        rule: b"",
    };
    time("tally of a known key", |_| writer.tally(black_box(key), 1.0));
    let handle = writer.slot(key, 1.0);
    time("bump of a handle", |_| assert!(writer.bump(black_box(handle), 1.0)));
}
