//! The files that packets come in: pcap, pcapng, and HEP3 packets one behind the other.
//!
//! ```text
//! pcap:    header (24 bytes: magic, version, zone, accuracy, snaplen, link type), then for each packet
//!          seconds, fraction, captured length, length on the wire, bytes      (draft-ietf-opsawg-pcap)
//! pcapng:  blocks of type, length, body, length again                        (draft-ietf-opsawg-pcapng)
//! ```

use super::{Skipped, be16, be32};

/// Bytes of a packet or block that are believed; what claims more is damage.
const LONGEST: usize = 16 << 20;

const MICROSECONDS: f64 = 1e-6;
const NANOSECONDS: f64 = 1e-9;

/// One packet as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Seconds since the epoch.
    pub time: f64,
    /// As in <https://www.tcpdump.org/linktypes.html>; `HEP` for a packet of that protocol.
    pub link: u32,
    pub bytes: &'a [u8],
    /// Bytes that were on the wire.
    pub length: usize,
}

/// The link type of HEP3 packets, which have none.
pub const HEP: u32 = u32::MAX;

#[derive(Debug)]
struct Interface {
    link: u32,
    /// Seconds of one tick.
    tick: f64,
}

#[derive(Debug)]
enum Format {
    Pcap { little: bool, link: u32, tick: f64 },
    Pcapng { little: bool, interfaces: Vec<Interface> },
    Hep,
}

/// Takes a capture's bytes as they come.
#[derive(Debug, Default)]
pub struct Container {
    rest: Vec<u8>,
    format: Option<Format>,
    damaged: bool,
}

impl Container {
    /// Hands each packet that is complete to `each`. Damage ends the reading; it is counted.
    pub fn feed(&mut self, bytes: &[u8], skipped: &mut Skipped, mut each: impl FnMut(Packet<'_>, &mut Skipped)) {
        if self.damaged {
            return;
        }
        let mut held = std::mem::take(&mut self.rest);
        held.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let rest = held.get(at..).unwrap_or_default();
            match self.step(rest, skipped, &mut each) {
                Some(Some(length)) => at += length,
                Some(None) => break,
                None => {
                    self.damaged = true;
                    skipped.count("captures damaged before their end");
                    return;
                }
            }
        }
        held.drain(..at);
        self.rest = held;
    }

    /// Says what is left at the end.
    pub fn finish(&mut self, skipped: &mut Skipped) {
        if !self.rest.is_empty() && !self.damaged {
            skipped.count("captures damaged before their end");
        }
        self.rest.clear();
    }

    /// Takes one piece of the file: its length; `Some(None)`: not all there yet; `None`: damaged.
    fn step(
        &mut self,
        rest: &[u8],
        skipped: &mut Skipped,
        each: &mut impl FnMut(Packet<'_>, &mut Skipped),
    ) -> Option<Option<usize>> {
        match &mut self.format {
            None => self.begin(rest),
            Some(Format::Pcap { little, link, tick }) => {
                let Some(header) = rest.get(..16) else {
                    return Some(None);
                };
                let word = |at| word(header, at, *little);
                let (seconds, fraction, captured, length) = (word(0)?, word(4)?, word(8)? as usize, word(12)? as usize);
                if captured > LONGEST {
                    return None;
                }
                let Some(bytes) = rest.get(16..16 + captured) else {
                    return Some(None);
                };
                let time = f64::from(seconds) + f64::from(fraction) * *tick;
                each(
                    Packet {
                        time,
                        link: *link,
                        bytes,
                        length: length.max(captured),
                    },
                    skipped,
                );
                Some(Some(16 + captured))
            }
            Some(Format::Hep) => {
                let Some(header) = rest.get(..6) else { return Some(None) };
                let length = usize::from(be16(header, 4)?);
                if !header.starts_with(b"HEP3") || length < 6 {
                    return None;
                }
                let Some(bytes) = rest.get(..length) else {
                    return Some(None);
                };
                each(
                    Packet {
                        time: 0.0,
                        link: HEP,
                        bytes,
                        length,
                    },
                    skipped,
                );
                Some(Some(length))
            }
            Some(Format::Pcapng { little, interfaces }) => {
                let Some(header) = rest.get(..12) else {
                    return Some(None);
                };
                if be32(header, 0)? == 0x0A0D_0D0A {
                    // A new section: its byte order may be another.
                    *little = header.get(8..12)? == b"\x4d\x3c\x2b\x1a";
                    interfaces.clear();
                }
                let little = *little;
                let length = word(header, 4, little)? as usize;
                if !(12..=LONGEST).contains(&length) {
                    return None;
                }
                let padded = length.next_multiple_of(4);
                let Some(block) = rest.get(..padded) else {
                    return Some(None);
                };
                block_of(
                    word(header, 0, little)?,
                    block.get(8..length - 4)?,
                    little,
                    interfaces,
                    skipped,
                    each,
                );
                Some(Some(padded))
            }
        }
    }

    fn begin(&mut self, rest: &[u8]) -> Option<Option<usize>> {
        let Some(magic) = rest.get(..4) else { return Some(None) };
        let (little, tick) = match magic {
            b"\xd4\xc3\xb2\xa1" => (true, MICROSECONDS),
            b"\xa1\xb2\xc3\xd4" => (false, MICROSECONDS),
            b"\x4d\x3c\xb2\xa1" => (true, NANOSECONDS),
            b"\xa1\xb2\x3c\x4d" => (false, NANOSECONDS),
            b"\x0a\x0d\x0d\x0a" => {
                self.format = Some(Format::Pcapng {
                    little: true,
                    interfaces: Vec::new(),
                });
                return Some(Some(0));
            }
            b"HEP3" => {
                self.format = Some(Format::Hep);
                return Some(Some(0));
            }
            _ => return None,
        };
        let Some(header) = rest.get(..24) else {
            return Some(None);
        };
        // The upper bits say whether frames end in a checksum.
        let link = word(header, 20, little)? & 0x0FFF_FFFF;
        self.format = Some(Format::Pcap { little, link, tick });
        Some(Some(24))
    }
}

fn word(bytes: &[u8], at: usize, little: bool) -> Option<u32> {
    let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(if little {
        u32::from_le_bytes(word)
    } else {
        u32::from_be_bytes(word)
    })
}

fn half(bytes: &[u8], at: usize, little: bool) -> Option<u16> {
    let half: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(if little {
        u16::from_le_bytes(half)
    } else {
        u16::from_be_bytes(half)
    })
}

/// One block of a pcapng file; what it can't be read of is left out.
fn block_of(
    kind: u32,
    body: &[u8],
    little: bool,
    interfaces: &mut Vec<Interface>,
    skipped: &mut Skipped,
    each: &mut impl FnMut(Packet<'_>, &mut Skipped),
) {
    match kind {
        1 => {
            if let Some(link) = half(body, 0, little) {
                let tick = tick_of(body.get(8..).unwrap_or_default(), little);
                interfaces.push(Interface {
                    link: link.into(),
                    tick,
                });
            }
        }
        // An enhanced packet, or one of the form that it replaced.
        6 | 2 => {
            let interface = if kind == 6 {
                word(body, 0, little)
            } else {
                half(body, 0, little).map(u32::from)
            };
            let known = interface.and_then(|number| interfaces.get(number as usize));
            let words = (
                word(body, 4, little),
                word(body, 8, little),
                word(body, 12, little),
                word(body, 16, little),
            );
            let (Some(Interface { link, tick }), (Some(high), Some(low), Some(captured), Some(length))) =
                (known, words)
            else {
                return skipped.count("packets of a capture that name no interface");
            };
            let Some(bytes) = body.get(20..20 + captured as usize) else {
                return skipped.count("captures damaged before their end");
            };
            let time = (u64::from(high) << 32 | u64::from(low)) as f64 * tick;
            let length = (length as usize).max(bytes.len());
            each(
                Packet {
                    time,
                    link: *link,
                    bytes,
                    length,
                },
                skipped,
            );
        }
        3 => skipped.count("packets of a capture without a time"),
        _ => {}
    }
}

/// An interface's tick in seconds, by its option `if_tsresol` (9); microseconds without one.
fn tick_of(mut options: &[u8], little: bool) -> f64 {
    while let (Some(code), Some(length)) = (half(options, 0, little), half(options, 2, little)) {
        if code == 0 {
            break;
        }
        let length = usize::from(length);
        if code == 9 {
            let value = options.get(4).copied().unwrap_or(6);
            let power = i32::from(value & 0x7F);
            return if value & 0x80 == 0 {
                10f64.powi(-power)
            } else {
                2f64.powi(-power)
            };
        }
        options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
    }
    MICROSECONDS
}
