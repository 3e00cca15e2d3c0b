//! A server's log as a whole: lines, their times, and the messages that they tell of.

use super::Skipped;
use super::batch::Batch;
use super::format::Format;
use super::join::{Join, Line};
use super::lines::{self, When, Years};

/// Bytes of one message's text: as much as a datagram can hold.
const TEXT: usize = 65_535;

/// Bytes of a line; what follows is left out.
const LONGEST: usize = 1 << 20;

/// Bytes of a line that are kept to show what was not understood, and such lines kept until they are asked for.
const SAMPLE: usize = 400;
const UNREAD: usize = 20_000;

/// Gives the offset from UTC, in seconds, of a time of the log's own zone.
pub type Offset = Box<dyn FnMut(i64) -> i64 + Send + Sync>;

/// Reads a log that is fed in pieces.
pub struct Log {
    rest: Vec<u8>,
    /// The last line with a header; lines without one belong to it.
    held: Option<Line>,
    join: Join,
    years: Years,
    /// The year of lines before the first turn.
    first_year: i64,
    /// The time of lines that name none.
    newest: f64,
    offset: Offset,
    /// The hour for which the offset was asked last.
    hour: (i64, i64),
    pub skipped: Skipped,
    pub unread: Unread,
}

/// Lines that were not understood.
#[derive(Debug, Default)]
pub struct Unread {
    /// The first of all.
    pub sample: Option<Vec<u8>>,
    /// Those that nobody has asked for yet, as many as are kept.
    lines: Vec<Vec<u8>>,
}

impl Unread {
    pub fn note(&mut self, line: &[u8]) {
        let line = line.get(..SAMPLE).unwrap_or(line);
        if self.sample.is_none() {
            self.sample = Some(line.to_vec());
        }
        if self.lines.len() < UNREAD {
            self.lines.push(line.to_vec());
        }
    }

    /// The lines since this was last asked.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.lines)
    }
}

impl Log {
    /// `newest`: seconds since the epoch; `first_year`: of the first line, where lines name none.
    pub fn new(newest: f64, first_year: i64, formats: Vec<Format>, offset: Offset) -> Self {
        Self {
            rest: Vec::new(),
            held: None,
            join: Join::new(formats),
            years: Years::default(),
            first_year,
            newest,
            offset,
            hour: (i64::MIN, 0),
            skipped: Skipped::default(),
            unread: Unread::default(),
        }
    }

    /// Takes the next piece. The messages that are complete now.
    pub fn feed(&mut self, piece: &[u8]) -> Batch {
        // What is made of a line is about twice as long.
        let mut batch = Batch {
            bytes: Vec::with_capacity(piece.len().saturating_mul(2)),
            items: Vec::with_capacity(piece.len() / 256),
        };
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(piece);
        let mut at = 0;
        for end in memchr::memchr_iter(b'\n', &text) {
            self.line(&text[at..end], &mut batch);
            at = end + 1;
        }
        text.drain(..at);
        // Of a line without an end the beginning is kept.
        text.truncate(LONGEST);
        self.rest = text;
        batch
    }

    /// What is left at the end: of the file, with `all`; else of what can't go on any more at a time.
    pub fn finish(&mut self) -> Batch {
        let mut batch = Batch::default();
        let last = std::mem::take(&mut self.rest);
        if !last.is_empty() {
            self.line(&last, &mut batch);
        }
        if let Some(held) = self.held.take() {
            self.join.take(&held, &mut batch, &mut self.skipped, &mut self.unread);
        }
        self.join.finish(&mut batch);
        batch
    }

    fn line(&mut self, line: &[u8], batch: &mut Batch) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = line.get(..LONGEST).unwrap_or(line);
        let Some(header) = lines::header(line) else {
            match &mut self.held {
                // A message that was printed with its own line ends.
                Some(held) if !line.is_empty() && held.text.len() < TEXT => {
                    held.text.push(b'\n');
                    held.text.extend_from_slice(line);
                }
                _ if line.trim_ascii().is_empty() => {}
                _ => {
                    self.skipped.count("lines in no known format");
                    self.unread.note(line);
                }
            }
            return;
        };
        if let Some(held) = self.held.take() {
            self.join.take(&held, batch, &mut self.skipped, &mut self.unread);
        }
        if !header.ours {
            return self.skipped.count("lines of other programs");
        }
        let Some(time) = self.time(header.when) else {
            return self.skipped.count("lines in no known format");
        };
        let text = line.get(header.text).unwrap_or_default();
        self.held = Some(Line {
            time,
            pid: header.pid,
            text: if header.opensips {
                lines::opensips(text)
            } else {
                text.to_vec()
            },
        });
    }

    /// Seconds since the epoch.
    fn time(&mut self, when: When) -> Option<f64> {
        let local = match when {
            When::Epoch(time) => return Some(time),
            When::Unknown => {
                self.skipped.count("lines without a time (taken as the file's own)");
                return Some(self.newest);
            }
            When::Local(time) => time,
            When::Yearless(month, day, seconds) => {
                self.years.see(month);
                let year = self.first_year + self.years.turns;
                lines::days(year, month.into(), day.into())? as f64 * 86400.0 + seconds
            }
        };
        let hour = (local / 3600.0) as i64;
        if self.hour.0 != hour {
            self.hour = (hour, (self.offset)(hour * 3600));
        }
        Some(local - self.hour.1 as f64)
    }
}
