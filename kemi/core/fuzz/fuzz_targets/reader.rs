//! Feeds mutated inputs, guided by coverage, to `reader::check`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sipsieve_core_fuzz::reader::check(data));
