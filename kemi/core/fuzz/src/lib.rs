//! What must hold for every input to the core, one module for each of its parts.
//!
//! Each has a `check` that panics where it does not: called by the programs in `fuzz_targets`, which are guided by coverage,
//! and by `tests/mutations.rs`, which needs nothing but Rust.

pub mod detect;
pub mod reader;
pub mod record;
pub mod scrub;
pub mod state;
pub mod transforms;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sipsieve_core::detect::{Exception, RuleSpec, Ruleset};

/// Bytes of an input; more tells nothing new, and what grows with length is looked at in `tests/linear.rs`.
pub const MAX_INPUT: usize = 4096;

/// A check of one input.
pub type Check = fn(&[u8]);

/// The checks by name, and the folders in `corpus` that their inputs begin with.
pub static TARGETS: [(&str, Check, &[&str]); 6] = [
    ("reader", reader::check, &["messages", "reader"]),
    ("transforms", transforms::check, &["transforms"]),
    ("detect", detect::check, &["messages", "detect"]),
    ("record", record::check, &["messages", "record"]),
    ("scrub", scrub::check, &["messages", "scrub"]),
    ("state", state::check, &["state"]),
];

/// Where this crate stands.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[derive(Deserialize)]
struct RuleFile {
    family: String,
    #[serde(default)]
    apart: bool,
    rule: Vec<RuleEntry>,
}

#[derive(Deserialize)]
struct RuleEntry {
    id: String,
    pattern: String,
    score: u8,
    tight: Option<u8>,
    reason: String,
    #[serde(default)]
    parts: Vec<String>,
    #[serde(default)]
    headers: Vec<String>,
    paranoia: Option<u8>,
    confidence: Option<String>,
    #[serde(default)]
    as_sent: bool,
    apart: Option<bool>,
    made: Option<u8>,
}

#[derive(Deserialize)]
struct ExceptionFile {
    exception: Vec<ExceptionEntry>,
}

#[derive(Deserialize)]
struct ExceptionEntry {
    rule: String,
    #[serde(default)]
    field: String,
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rules that the package ships, with their exceptions.
pub fn rules() -> Ruleset {
    let package = folder().join("../../sipsieve/detection");
    let mut files: Vec<PathBuf> = std::fs::read_dir(package.join("rules"))
        .expect("the folder of the rules")
        .map(|entry| entry.expect("a file of rules").path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    let mut specs = Vec::new();
    for path in files {
        let RuleFile { family, apart, rule } = read(&path);
        specs.extend(rule.into_iter().map(|entry| RuleSpec {
            id: entry.id,
            family: family.clone(),
            pattern: entry.pattern,
            score: entry.score,
            tight: entry.tight.unwrap_or(entry.score.max(5)),
            reason: entry.reason,
            parts: entry.parts,
            headers: entry.headers,
            paranoia: entry.paranoia.unwrap_or(1),
            sure: entry.confidence.is_none_or(|confidence| confidence == "high"),
            as_sent: entry.as_sent,
            apart: entry.apart.unwrap_or(apart),
            made: entry.made,
        }));
    }
    let exceptions: Vec<Exception> = read::<ExceptionFile>(&package.join("exceptions.toml"))
        .exception
        .into_iter()
        .map(|entry| Exception {
            rule: entry.rule,
            field: entry.field,
        })
        .collect();
    Ruleset::new(specs, &exceptions).expect("rules that compile")
}

/// A number that an input chooses without a byte of it being set aside: FNV-1a (32 bits).
pub fn choice(data: &[u8]) -> u32 {
    data.iter().fold(0x811c_9dc5, |sum, &byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The seeds in a folder of `corpus`, in the order of their names; none where there is no such folder.
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder().join("corpus").join(name)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a seed").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

/// Seconds of the processor that this thread has used: what other programs do does not count.
pub fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call only writes the struct that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Panics where work takes more than a bound that grows linearly with `bytes`, three times in a row.
///
/// The bound is some hundred times what is usual, checks and instrumentation included: it finds what grows with the square.
pub fn bounded(what: &str, bytes: usize, mut work: impl FnMut()) {
    let most = 0.01 + bytes as f64 * 10e-6;
    let mut least = f64::MAX;
    for _ in 0..3 {
        let began = processor_time();
        work();
        least = least.min(processor_time() - began);
        if least <= most {
            return;
        }
    }
    panic!("{what}: {least:.4} s for {bytes} bytes");
}
