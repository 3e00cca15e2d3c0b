//! Writes times as RFC 3339 in UTC, to the microsecond.

/// The year 9999's end: no record is later.
const LAST: i64 = 253_402_300_799;

/// Writes times; remembers the last second's text, which most records share.
#[derive(Default)]
pub struct Clock {
    second: i64,
    text: [u8; 19],
    known: bool,
}

impl Clock {
    /// Writes `now`, seconds since the epoch, as `2026-11-28T03:04:05.678901Z`. Times before the epoch are written as it.
    pub fn write(&mut self, out: &mut Vec<u8>, now: f64) {
        let (second, mut micro) = parts(now);
        if !self.known || second != self.second {
            (self.second, self.text, self.known) = (second, stamp(second), true);
        }
        out.extend_from_slice(&self.text);
        let mut fraction = *b".000000Z";
        for digit in fraction[1..7].iter_mut().rev() {
            *digit = b'0' + (micro % 10) as u8;
            micro /= 10;
        }
        out.extend_from_slice(&fraction);
    }
}

/// Seconds since the epoch as the second and the microsecond that are written.
pub(super) fn parts(now: f64) -> (i64, u32) {
    let now = if now.is_finite() {
        now.clamp(0.0, LAST as f64)
    } else {
        0.0
    };
    let second = now as i64;
    match ((now - second as f64) * 1e6).round_ties_even() as u32 {
        micro if micro >= 1_000_000 => (second + 1, 0),
        micro => (second, micro),
    }
}

/// A second since the epoch in the proleptic Gregorian calendar; years are counted from March, as leap days end them.
fn stamp(second: i64) -> [u8; 19] {
    let (days, rest) = (second / 86_400, second % 86_400);
    let shifted = days + 719_468; // from 0000-03-01
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00";
    let mut put = |at: usize, value: i64| {
        text[at] = b'0' + (value / 10 % 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    };
    put(0, year / 100);
    put(2, year % 100);
    put(5, month);
    put(8, date);
    put(11, rest / 3_600);
    put(14, rest / 60 % 60);
    put(17, rest % 60);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_microsecond() {
        let mut clock = Clock::default();
        let mut shown = |now| {
            let mut out = Vec::new();
            clock.write(&mut out, now);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(0.0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(951_782_400.5), "2000-02-29T00:00:00.500000Z");
        assert_eq!(shown(1_709_251_199.999_999_9), "2024-03-01T00:00:00.000000Z");
        assert_eq!(shown(4_107_542_400.0), "2100-03-01T00:00:00.000000Z");
        assert_eq!(shown(f64::NAN), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(1e300), "9999-12-31T23:59:59.000000Z");
    }
}
