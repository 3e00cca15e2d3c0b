//! The two clocks that decisions are made by.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch, for the log.
pub fn wall() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// Seconds of a clock that never steps, for windows and lives, the same in all processes. To the tick is enough, and cheaper.
#[allow(
    unsafe_code,
    reason = "std has no absolute monotonic time; the call only writes the struct it is given"
)]
pub fn steady() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) } != 0 {
        return 0.0;
    }
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
