//! Feeds mutated inputs, guided by coverage, to `detect::check`.
#![no_main]

// The rules are made ready before the first input, whose time is limited.
libfuzzer_sys::fuzz_target!(init: sipsieve_core_fuzz::detect::check(b""), |data: &[u8]| sipsieve_core_fuzz::detect::check(
    data
));
