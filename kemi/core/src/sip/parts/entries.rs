//! The entries of one header value.

use memchr::{memchr, memchr2};

use crate::sip::grammar::trimmed;
use crate::sip::model::Span;

/// Entries read of one comma-joined header value.
const MAX_ENTRIES: usize = 64;

/// The entries between separators that stand outside quotes and angle brackets, outer space trimmed.
pub(super) struct Entries<'a> {
    raw: &'a [u8],
    at: usize,
    end: usize,
    separator: u8,
    count: usize,
    whole: bool,
    /// Nothing in it could hide a separator.
    bare: bool,
    done: bool,
}

impl<'a> Entries<'a> {
    pub(super) fn of(raw: &'a [u8], span: Span, separator: u8) -> Self {
        let whole = memchr(separator, span.of(raw)).is_none();
        let bare = !whole && memchr2(b'"', b'<', span.of(raw)).is_none();
        Self {
            raw,
            at: span.start,
            end: span.end,
            separator,
            count: 0,
            whole,
            bare,
            done: false,
        }
    }

    /// Where the entry that begins at `at` ends, and whether another one follows.
    fn entry(&self) -> (usize, bool) {
        if self.count + 1 >= MAX_ENTRIES {
            return (self.end, false);
        }
        if self.bare {
            // Behind a last separator nothing is left.
            let rest = self.raw.get(self.at..self.end).unwrap_or_default();
            return memchr(self.separator, rest).map_or((self.end, false), |length| (self.at + length, true));
        }
        let (mut quoted, mut angle) = (false, false);
        let mut at = self.at;
        while at < self.end {
            let byte = self.raw[at];
            if quoted {
                match byte {
                    b'\\' => at += 1,
                    b'"' => quoted = false,
                    _ => {}
                }
            } else if byte == self.separator {
                if !angle {
                    return (at, true);
                }
            } else {
                match byte {
                    b'"' => quoted = true,
                    b'<' => angle = true,
                    b'>' => angle = false,
                    _ => {}
                }
            }
            at += 1;
        }
        (self.end, false)
    }
}

impl Iterator for Entries<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        while !self.done {
            if self.whole {
                self.done = true;
                return Some(Span {
                    start: self.at,
                    end: self.end,
                });
            }
            let (stop, more) = self.entry();
            let span = trimmed(
                self.raw,
                Span {
                    start: self.at,
                    end: stop,
                },
            );
            self.count += 1;
            self.at = stop + 1;
            self.done = !more;
            if !span.is_empty() {
                return Some(span);
            }
        }
        None
    }
}
