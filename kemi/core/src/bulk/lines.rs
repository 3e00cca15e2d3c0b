//! The headers of log lines: what wrote them, and when.
//!
//! ```text
//! Nov 16 10:00:00 edge kamailio[41]: text                                  RFC 3164; journalctl -o short(-precise)
//! <131>1 2026-11-16T10:00:00.000Z edge kamailio 41 - [id a="b"] text       RFC 5424
//! 2026-11-16T10:00:00+00:00 edge kamailio[41]: text                        rsyslog, journalctl -o short-iso
//! Mon 2026-11-16 10:00:00 UTC edge kamailio[41]: text                      journalctl -o short-full, with-unit
//! 1794823200.5 edge kamailio[41]: text                                     journalctl -o short-unix
//! 2026-11-16T10:00:00.5Z stdout F  0(41) ERROR: text                       containers, by CRI or `docker logs -t`
//!  0(41) ERROR: text                                                       standard error
//! ERROR: <core> …                                                          journalctl -o cat
//! ```

use std::ops::Range;

use super::digits;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const LEVELS: [&str; 8] = [
    "ALERT", "BUG", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG",
];

/// Begins a line that a reader of another form has taken apart already: seconds, process id, and a space each.
pub const TAKEN_APART: u8 = 0x1E;

/// When a line was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Seconds since the epoch.
    Epoch(f64),
    /// Seconds of a clock of the log's own zone, as if it were UTC.
    Local(f64),
    /// The same without a year: month (1 to 12), day, and seconds of the day.
    Yearless(u8, u8, f64),
    Unknown,
}

/// A line's header.
#[derive(Clone, Debug)]
pub struct Header {
    pub when: When,
    pub pid: u32,
    /// Kamailio or OpenSIPS wrote it, and nobody else.
    pub ours: bool,
    /// It was OpenSIPS: see `opensips`.
    pub opensips: bool,
    /// Where the text stands.
    pub text: Range<usize>,
}

/// The header of a line; `None` where it has none that is known.
pub fn header(line: &[u8]) -> Option<Header> {
    if let Some((&TAKEN_APART, rest)) = line.split_first() {
        let (time, rest) = word(rest)?;
        let (pid, rest) = word(rest)?;
        let when = std::str::from_utf8(time)
            .ok()?
            .parse()
            .map_or(When::Unknown, When::Epoch);
        let pid = digits(pid).unwrap_or(0) as u32;
        return Some(Header {
            when,
            pid,
            ours: true,
            opensips: false,
            text: behind(line, rest),
        });
    }
    let mut rest = line;
    // A compose file's service: `kamailio-1  | `.
    if let Some(bar) = memchr::memchr(b'|', rest.get(..64.min(rest.len()))?) {
        let name = rest.get(..bar)?.trim_ascii_end();
        if !name.is_empty()
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        {
            rest = rest.get(bar + 1..)?.trim_ascii_start();
        }
    }
    rest = priority(rest);
    if let Some(text) = standard_error(rest, line, When::Unknown) {
        return Some(text);
    }
    let (when, rest, modern) = time(rest)?;
    let rest = rest.trim_ascii_start();
    // CRI writes the stream and whether the line is whole.
    let bare = ["stdout F ", "stderr F ", "stdout P ", "stderr P "]
        .iter()
        .find_map(|tag| rest.strip_prefix(tag.as_bytes()));
    if let Some(header) = standard_error(bare.unwrap_or(rest), line, when) {
        return Some(header);
    }
    if let Some(header) = opensips_standard_error(rest, line, when) {
        return Some(header);
    }
    let (_host, rest) = word(rest)?;
    let (program, pid, text) = if modern { structured(rest)? } else { tag(rest)? };
    let ours = is_kamailio(program) || level(text).is_some_and(|text| says(text, b"<core>") || says(text, b"<script>"));
    let opensips = is_opensips(program);
    Some(Header {
        when,
        pid,
        ours: ours || opensips,
        opensips,
        text: behind(line, text),
    })
}

/// `[41] ERROR:core:…`, behind a time: OpenSIPS with `log_stderror`.
fn opensips_standard_error(rest: &[u8], line: &[u8], when: When) -> Option<Header> {
    let inside = rest.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', inside.get(..11.min(inside.len()))?)?;
    let pid = digits(&inside[..end])? as u32;
    let text = inside.get(end + 1..)?.strip_prefix(b" ")?;
    Some(Header {
        when,
        pid,
        ours: true,
        opensips: true,
        text: behind(line, text),
    })
}

/// A line of OpenSIPS as Kamailio would have written it: `ERROR:core:parse_msg: text`, or what a script wrote by `xlog`.
pub fn opensips(text: &[u8]) -> Vec<u8> {
    let told = || {
        let (level, rest) = LEVELS
            .iter()
            .chain(&["CRIT", "DBG"])
            .find_map(|level| Some((*level, text.strip_prefix(level.as_bytes())?.strip_prefix(b":")?)))?;
        let name = |rest: &[u8]| {
            let count = rest
                .iter()
                .take(65)
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte == b'-')
                .count();
            ((1..=64).contains(&count) && rest.get(count) == Some(&b':')).then_some(count)
        };
        let module = name(rest)?;
        let behind = &rest[module + 1..];
        let function = name(behind)?;
        let said = behind.get(function + 1..)?;
        let said = said.strip_prefix(b" ").unwrap_or(said);
        let (module, function) = (&rest[..module], &behind[..function]);
        Some([level.as_bytes(), b": ", module, b": ", function, b"(): ", said].concat())
    };
    told().unwrap_or_else(|| [b"INFO: <script>: ", text].concat())
}

fn is_opensips(program: &[u8]) -> bool {
    let name = program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    memchr::memmem::find(name, b"opensips").is_some()
}

/// Text behind `LEVEL: `.
pub fn level(text: &[u8]) -> Option<&[u8]> {
    LEVELS
        .iter()
        .find_map(|level| text.strip_prefix(level.as_bytes())?.strip_prefix(b": "))
}

fn says(text: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(text.get(..512.min(text.len())).unwrap_or_default(), what).is_some()
}

fn behind(line: &[u8], rest: &[u8]) -> Range<usize> {
    line.len() - rest.len()..line.len()
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', text)?;
    (end > 0).then(|| (&text[..end], &text[end + 1..]))
}

/// Without `<131>` and the version of RFC 5424 behind it.
fn priority(line: &[u8]) -> &[u8] {
    let Some(inside) = line.strip_prefix(b"<") else {
        return line;
    };
    match memchr::memchr(b'>', inside.get(..4.min(inside.len())).unwrap_or_default()) {
        Some(end) if inside[..end].iter().all(u8::is_ascii_digit) => &inside[end + 1..],
        _ => line,
    }
}

/// ` 0(41) ERROR: text` and `ERROR: <core> …`.
fn standard_error(rest: &[u8], line: &[u8], when: When) -> Option<Header> {
    let mut text = rest;
    while let Some(escape) = text.strip_prefix(b"\x1b[") {
        text = escape.get(memchr::memchr(b'm', escape.get(..8.min(escape.len()))?)? + 1..)?;
    }
    let text = text.trim_ascii_start();
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if let Some(inside) = text
        .get(count..)
        .filter(|_| (1..=4).contains(&count))
        .and_then(|rest| rest.strip_prefix(b"("))
    {
        let end = memchr::memchr(b')', inside.get(..11.min(inside.len()))?)?;
        let pid = digits(&inside[..end])? as u32;
        let text = inside.get(end + 1..)?.strip_prefix(b" ")?;
        level(text)?;
        return Some(Header {
            when,
            pid,
            ours: true,
            opensips: false,
            text: behind(line, text),
        });
    }
    let ours = level(text).is_some_and(|text| {
        text.first().is_some_and(|&first| first == b'{' || first == b'<')
            && (says(text, b"<core>") || says(text, b"<script>"))
    });
    ours.then(|| Header {
        when,
        pid: 0,
        ours,
        opensips: false,
        text: behind(line, text),
    })
}

/// A time at the beginning, what stands behind it, and whether the form is that of RFC 5424.
fn time(text: &[u8]) -> Option<(When, &[u8], bool)> {
    let modern = text.starts_with(b"1 ") && text.get(2).is_some_and(u8::is_ascii_digit);
    let text = if modern { &text[2..] } else { text };
    if let Some(month) = MONTHS.iter().position(|name| text.starts_with(&name[..])) {
        let day = digits(text.get(4..6)?.trim_ascii_start())?;
        let (seconds, used) = clock(text.get(7..)?)?;
        let rest = text.get(7 + used..)?.strip_prefix(b" ")?;
        if !(1..=31).contains(&day) {
            return None;
        }
        return Some((When::Yearless(month as u8 + 1, day as u8, seconds), rest, false));
    }
    let named = text
        .get(..4)
        .is_some_and(|day| day[..3].iter().all(u8::is_ascii_alphabetic) && day[3] == b' ');
    let text = if named { &text[4..] } else { text };
    if let (Some(date), Some(b'T' | b' ')) = (text.get(..10), text.get(10)) {
        if date[4] == b'-' && date[7] == b'-' {
            let (year, month, day) = (digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..])?);
            let (seconds, used) = clock(text.get(11..)?)?;
            let when = days(year as i64, month as i64, day as i64)? as f64 * 86400.0 + seconds;
            let (zone, rest) = zone(text.get(11 + used..)?);
            let when = zone.map_or(When::Local(when), |zone| When::Epoch(when - zone));
            return Some((when, rest.strip_prefix(b" ").unwrap_or(rest), modern));
        }
    }
    let (stamp, rest) = word(text)?;
    let whole = memchr::memchr(b'.', stamp)?;
    if whole == 10 && stamp.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return Some((When::Epoch(std::str::from_utf8(stamp).ok()?.parse().ok()?), rest, false));
    }
    None
}

/// `10:00:00`, with a fraction after a point or comma: seconds of the day, and how many bytes it takes.
fn clock(text: &[u8]) -> Option<(f64, usize)> {
    let part = |at: usize| digits(text.get(at..at + 2)?);
    if text.get(2)? != &b':' || text.get(5)? != &b':' {
        return None;
    }
    let (hour, minute, second) = (part(0)?, part(3)?, part(6)?.min(59));
    if hour > 23 || minute > 59 {
        return None;
    }
    let mut seconds = (hour * 3600 + minute * 60 + second) as f64;
    let mut used = 8;
    if matches!(text.get(8), Some(b'.' | b',')) {
        let fraction = text[9..].iter().take_while(|byte| byte.is_ascii_digit()).count().min(9);
        seconds += digits(&text[9..9 + fraction]).unwrap_or(0) as f64 / 10f64.powi(fraction as i32);
        used = 9 + fraction;
    }
    Some((seconds, used))
}

/// An offset from UTC in seconds, where one is named, and what stands behind it.
fn zone(text: &[u8]) -> (Option<f64>, &[u8]) {
    if let Some(rest) = text.strip_prefix(b"Z").or_else(|| text.strip_prefix(b" UTC")) {
        return (Some(0.0), rest);
    }
    if let Some(&[sign @ (b'+' | b'-'), one, two, ref rest @ ..]) = text.get(..).filter(|text| text.len() > 4) {
        let minutes = rest.strip_prefix(b":").unwrap_or(rest);
        if let (Some(hours), Some(small)) = (digits(&[one, two]), minutes.get(..2).and_then(digits)) {
            let offset = (hours * 3600 + small * 60) as f64;
            return (Some(if sign == b'-' { -offset } else { offset }), &minutes[2..]);
        }
    }
    (None, text)
}

/// Days since the epoch (H. Hinnant's days_from_civil).
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=2999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// `kamailio[41]: text`, `kamailio: text`.
fn tag(rest: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let end = rest
        .iter()
        .take(128)
        .position(|byte| matches!(byte, b'[' | b':' | b' '))?;
    let program = rest.get(..end)?;
    match rest.get(end)? {
        b'[' => {
            let inside = rest.get(end + 1..)?;
            let close = memchr::memchr(b']', inside.get(..12.min(inside.len()))?)?;
            let pid = digits(&inside[..close])? as u32;
            let text = inside.get(close + 1..)?.strip_prefix(b":")?;
            Some((program, pid, text.strip_prefix(b" ").unwrap_or(text)))
        }
        b':' => {
            let text = rest.get(end + 1..)?;
            Some((program, 0, text.strip_prefix(b" ").unwrap_or(text)))
        }
        _ => None,
    }
}

/// `kamailio 41 - [id a="b"] text` (RFC 5424 6).
fn structured(rest: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (program, rest) = word(rest)?;
    let (pid, rest) = word(rest)?;
    let (_message, mut rest) = word(rest)?;
    if let Some(none) = rest.strip_prefix(b"-") {
        rest = none;
    } else {
        // Elements in brackets; in their values `"`, `\` and `]` are escaped (6.3.3).
        while rest.first() == Some(&b'[') {
            let (mut at, mut quoted) = (1, false);
            loop {
                match (rest.get(at)?, quoted) {
                    (b'\\', true) => at += 1,
                    (b'"', _) => quoted = !quoted,
                    (b']', false) => break,
                    _ => {}
                }
                at += 1;
            }
            rest = rest.get(at + 1..)?;
        }
    }
    let text = rest.strip_prefix(b" ").unwrap_or(rest);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    Some((program, digits(pid).unwrap_or(0) as u32, text))
}

/// Whether a program's name is Kamailio's, or one of those that it had.
pub fn is_kamailio(program: &[u8]) -> bool {
    let name = program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    memchr::memmem::find(name, b"kamailio").is_some() || name.starts_with(b"openser") || name == b"ser"
}

/// Tells years apart that log lines do not name: how often the year changed, and the last month.
#[derive(Clone, Copy, Debug, Default)]
pub struct Years {
    pub turns: i64,
    pub month: u8,
}

impl Years {
    pub fn see(&mut self, month: u8) {
        if self.month > 0 && month + 6 < self.month {
            self.turns += 1;
        } else if self.month > 0 && month > self.month + 6 {
            self.turns -= 1;
        }
        self.month = month;
    }

    /// Looks at a line's month alone.
    pub fn see_line(&mut self, line: &[u8]) {
        let line = priority(line);
        if line.get(3) == Some(&b' ') && line.get(9) == Some(&b':') {
            if let Some(month) = MONTHS.iter().position(|name| line.starts_with(&name[..])) {
                self.see(month as u8 + 1);
            }
        }
    }
}
