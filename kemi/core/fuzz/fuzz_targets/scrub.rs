//! Feeds mutated inputs, guided by coverage, to `scrub::check`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sipsieve_core_fuzz::scrub::check(data));
