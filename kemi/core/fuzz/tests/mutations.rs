//! Seeds, and what chance makes of them, held against the checks for `FUZZ_SECONDS` in all: a short hunt that needs only Rust.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use sipsieve_core_fuzz::{MAX_INPUT, TARGETS, folder, seeds};

/// Numbers by chance (xorshift64*), the same in every run with one seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % most.max(1)
    }

    fn piece(&mut self, of: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(of.len() + 1);
        start..start + self.below((of.len() - start).min(64) + 1)
    }
}

/// The words of `sip.dict`, in which `\xNN` is a byte.
fn words() -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(folder().join("sip.dict")).expect("the words");
    let mut words = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('"')) {
        let mut bytes = line[1..line.len() - 1].bytes();
        let mut word = Vec::new();
        while let Some(byte) = bytes.next() {
            match (byte, byte == b'\\') {
                (_, true) => match bytes.next() {
                    Some(b'x') => {
                        let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                        let digits = std::str::from_utf8(&digits).expect("two digits");
                        word.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                    }
                    Some(other) => word.push(other),
                    None => {}
                },
                _ => word.push(byte),
            }
        }
        words.push(word);
    }
    words
}

fn mutate(data: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>], chance: &mut Chance) {
    for _ in 0..=chance.below(6) {
        let at = chance.below(data.len() + 1);
        let other = &seeds[chance.below(seeds.len())];
        match chance.below(8) {
            0 if at < data.len() => data[at] ^= 1 << chance.below(8),
            1 if at < data.len() => data[at] = chance.below(256) as u8,
            2 => data.insert(at, chance.below(256) as u8),
            3 => drop(data.drain(chance.piece(&data.clone()))),
            4 => {
                let piece = data[chance.piece(data)].to_vec();
                for _ in 0..=chance.below(4) {
                    data.splice(at..at, piece.iter().copied());
                }
            }
            5 => drop(data.splice(at..at, other[chance.piece(other)].iter().copied())),
            6 => {
                let place = chance.piece(data);
                drop(data.splice(place, other[chance.piece(other)].iter().copied()));
            }
            _ => {
                let word = &words[chance.below(words.len())];
                drop(data.splice(at..at, word.iter().copied()));
            }
        }
        data.truncate(MAX_INPUT);
    }
}

/// Fails with the input, as a file that the guided programs take too.
fn run(name: &str, check: fn(&[u8]), data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| check(data))).is_err() {
        let folder = folder().join("artifacts");
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(format!("{name}-{:08x}", sipsieve_core_fuzz::choice(data)));
        std::fs::write(&path, data).expect("a file");
        panic!("{name}: the input is in {}", path.display());
    }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn seeds_and_their_mutations_break_no_promise() {
    let only = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let share = Duration::from_secs(variable("FUZZ_SECONDS", 6)) / TARGETS.len() as u32;
    let words = words();
    for (name, check, folders) in TARGETS.iter().filter(|(name, ..)| only.is_empty() || only == *name) {
        let seeds: Vec<Vec<u8>> = folders.iter().flat_map(|folder| seeds(folder)).collect();
        assert!(seeds.len() >= 4, "{name}: no seeds");
        for seed in &seeds {
            run(name, *check, seed);
        }
        let mut chance = Chance(variable("FUZZ_SEED", 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (began, mut count) = (Instant::now(), 0u64);
        while began.elapsed() < share {
            let mut data = seeds[chance.below(seeds.len())].clone();
            mutate(&mut data, &seeds, &words, &mut chance);
            run(name, *check, &data);
            count += 1;
        }
        println!("{name}: {} seeds, {count} mutations", seeds.len());
    }
}
