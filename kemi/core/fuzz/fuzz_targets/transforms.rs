//! Feeds mutated inputs, guided by coverage, to `transforms::check`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sipsieve_core_fuzz::transforms::check(data));
