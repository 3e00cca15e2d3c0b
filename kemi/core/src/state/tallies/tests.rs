//! Each count is kept, and handed out once.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::state::hash::Secret;
use crate::state::{region, snapshot};

fn key<'a>(ip: &'a str, verdict: &'a str) -> Key<'a> {
    Key {
        ip: ip.as_bytes(),
        method: b"INVITE",
        verdict: verdict.as_bytes(),
        transport: b"udp",
        rule: b"",
    }
}

fn sum(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.messages).sum()
}

#[test]
fn each_count_is_handed_out_once() {
    let tallies = Arc::new(Tallies::new(2, 10).unwrap());
    let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 1).unwrap();
    let handle = writer.slot(key("192.0.2.1", "allow"), 100.0);
    assert!((0..5).all(|second| writer.bump(handle, 100.0 + f64::from(second))));
    assert!(!writer.bump(handle, 110.0));
    assert!(tallies.collect(105.0, false).is_empty());
    let entries = tallies.collect(112.0, false);
    assert_eq!(
        (sum(&entries), entries[0].last, entries[0].ip.as_str()),
        (5, 104.0, "192.0.2.1")
    );
    assert!(tallies.collect(112.0, true).is_empty());
    let waiting = tallies.waiting();
    assert_eq!((waiting.len(), &waiting[0].1), (1, &entries[0]));
    tallies.written(waiting[0].0, 5);
    assert!(tallies.waiting().is_empty() && tallies.unwritten().is_empty());
}

#[test]
fn what_is_not_fetched_is_not_lost() {
    let tallies = Arc::new(Tallies::new(1, 10).unwrap());
    let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
    for number in 0..100 {
        writer.tally(key("a", "allow"), 100.0 + f64::from(number) * 7.0);
    }
    assert_eq!(sum(&tallies.unwritten()), 100);
    assert_eq!(sum(&tallies.collect(900.0, true)), 100);
}

#[test]
fn more_than_can_wait_stays_with_the_workers() {
    let tallies = Arc::new(Tallies::new(1, 10).unwrap());
    let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
    for number in 0..40_000 {
        writer.tally(key(&format!("{number}"), "allow"), f64::from(number));
        if number % 100 == 0 {
            tallies.collect(f64::from(number), false);
        }
    }
    assert_eq!(sum(&tallies.unwritten()), 40_000);
    tallies.collect(1e6, true);
    assert_eq!(sum(&tallies.unwritten()), 40_000);
}

#[test]
fn what_a_killed_server_had_begun_is_ended() {
    let tallies = Arc::new(Tallies::new(1, 10).unwrap());
    let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
    (0..3).for_each(|_| writer.tally(key("a", "allow"), 100.0));
    // The tenth interval is counted in the first page.
    let slot = HEAD_WORDS + HEAD_WORDS;
    let seen = tallies.load(slot);
    assert_eq!(seen & COUNT, 3);
    let place = tallies.place(&text_of(key("a", "allow")), b"allow").unwrap().at;
    for taken in [false, true] {
        // Killed before, or after, the count was taken out of its page.
        tallies.store(slot, if taken { seen & !COUNT } else { seen });
        tallies.store(tallies.waiting + 1, seen);
        tallies.store(tallies.waiting + 2, place as u64);
        tallies.store(tallies.waiting + 3, 0);
        tallies.store(tallies.waiting, slot as u64);
        tallies.recover();
        assert_eq!(
            (tallies.load(slot) & COUNT, tallies.load(place)),
            if taken { (0, 3) } else { (3, 0) }
        );
    }
}

#[test]
fn collecting_while_a_worker_writes_loses_none() {
    let tallies = Arc::new(Tallies::new(1, 1).unwrap());
    let done = std::sync::atomic::AtomicBool::new(false);
    let mut collected = 0;
    std::thread::scope(|scope| {
        let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
        let done = &done;
        scope.spawn(move || {
            for number in 0..200_000 {
                let ip = format!("{}", number % 300);
                writer.tally(
                    key(&ip, ["allow", "drop", "reject"][number % 3]),
                    number as f64 / 1000.0,
                );
            }
            done.store(true, Release);
        });
        while !done.load(Acquire) {
            collected += sum(&tallies.collect(0.0, true));
        }
    });
    collected += sum(&tallies.collect(0.0, true));
    assert_eq!(collected, 200_000);
    let waiting = tallies.waiting();
    assert_eq!(waiting.iter().map(|(_, entry)| entry.messages).sum::<u64>(), 200_000);
}

#[test]
fn the_memory_outlives_its_server() {
    let folder = std::env::temp_dir().join(format!("sipsieve-tallies-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ledger");
    let open = || Tallies::open(&path, 1, 10, Duration::ZERO).unwrap();
    let tallies = Arc::new(open());
    assert!(tallies.durable && !tallies.damaged);
    assert!(!open().durable, "another server holds it");
    let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
    writer.tally(key("a", "allow"), 100.0);
    snapshot::write(&path, &snapshot::content(&tallies.unwritten())).unwrap();
    drop((writer, tallies));
    // As after `kill -9`; the file is not counted once more.
    let again = open();
    assert_eq!((again.durable, sum(&again.unwritten())), (true, 1));
    drop(again);
    // As after a stop of the machine.
    assert!(region::remove_kept(snapshot::key(&path).unwrap().0));
    let again = open();
    assert_eq!(
        (again.durable, again.damaged, sum(&again.unwritten())),
        (true, false, 1)
    );
    // Of another version.
    again.store(1, 77);
    drop(again);
    assert!(open().damaged);
    assert!(region::remove_kept(snapshot::key(&path).unwrap().0));
    std::fs::remove_dir_all(folder).unwrap();
}
