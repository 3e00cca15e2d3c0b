//! Feeds mutated inputs, guided by coverage, to `scrub::check`.
#![no_main]

// The rules are made ready before the first input, whose time is limited.
libfuzzer_sys::fuzz_target!(init: sipsieve_core_fuzz::scrub::check(b""), |data: &[u8]| sipsieve_core_fuzz::scrub::check(
    data
));
