//! The SIP messages of a capture, from whatever they are wrapped in.

use std::net::IpAddr;

use super::batch::{Batch, Known, Recorded};
use super::container::{Container, HEP, Packet};
use super::fragments::{Fragments, Whole};
use super::network::{self, Datagram};
use super::streams::{Segment, Streams, could_be_sip};
use super::{Skipped, be16, be32, hep};

/// SIP's registered ports, and those that installations use most beside them.
const PORTS: [u16; 5] = [5060, 5061, 5062, 5080, 5160];

/// Kamailio reads no shorter datagram either; keep-alives are shorter.
const SHORTEST: usize = 32;

/// Tunnels within tunnels that are followed.
const DEPTH: u8 = 6;

const UDP: u8 = 17;
const TCP: u8 = 6;
const VXLAN: u16 = 4789;

/// Takes a capture in pieces and gathers the messages in it.
#[derive(Debug, Default)]
pub struct Capture {
    container: Container,
    inside: Inside,
    pub skipped: Skipped,
}

/// What is held between packets, and the messages so far.
#[derive(Debug, Default)]
struct Inside {
    fragments: Fragments,
    streams: Streams,
    batch: Batch,
    packets: u64,
}

/// A packet's content, on its way inwards.
struct Content<'a> {
    time: f64,
    source: IpAddr,
    target: IpAddr,
    protocol: u8,
    bytes: &'a [u8],
    missing: usize,
}

impl Capture {
    /// Takes the next piece of the file. The messages that are complete now, in the order of their last packets.
    pub fn feed(&mut self, bytes: &[u8]) -> Batch {
        let Self {
            container,
            inside,
            skipped,
        } = self;
        container.feed(bytes, skipped, |packet, skipped| inside.packet(&packet, skipped));
        std::mem::take(&mut inside.batch)
    }

    /// What is left at the file's end.
    pub fn finish(&mut self) -> Batch {
        let Self {
            container,
            inside,
            skipped,
        } = self;
        container.finish(skipped);
        for whole in inside.fragments.finish() {
            skipped.count("IP packets of which fragments are missing");
            inside.whole(&whole, 0, skipped);
        }
        let Inside { streams, batch, .. } = inside;
        streams.finish(skipped, |key, time, message| {
            let raw = batch.put(&[message]);
            batch.items.push(Recorded {
                raw,
                ..recorded(time, key.0, key.1, "tcp")
            });
        });
        std::mem::take(&mut inside.batch)
    }

    /// Packets read so far.
    pub fn packets(&self) -> u64 {
        self.inside.packets
    }
}

fn recorded(time: f64, source: IpAddr, port: u16, transport: &'static str) -> Recorded {
    Recorded {
        time,
        ip: source.to_string(),
        port,
        transport,
        raw: 0..0,
        known: Known::Whole,
        refused: false,
        limited: false,
        foreign: None,
    }
}

impl Inside {
    fn packet(&mut self, packet: &Packet<'_>, skipped: &mut Skipped) {
        self.packets += 1;
        if packet.link == HEP {
            return self.hep(packet.bytes, 0.0, skipped);
        }
        match network::ip_of(packet) {
            Some(ip) => self.ip(packet.time, ip, 0, skipped),
            None => skipped.count("frames that hold no IP"),
        }
    }

    fn ip(&mut self, time: f64, packet: &[u8], depth: u8, skipped: &mut Skipped) {
        if depth > DEPTH {
            return skipped.count("packets in too many tunnels");
        }
        let Some(datagram) = network::datagram(packet) else {
            return skipped.count("frames that hold no IP");
        };
        let Some(place) = datagram.fragment else {
            let Datagram {
                source,
                target,
                protocol,
                content,
                missing,
                ..
            } = datagram;
            return self.content(
                &Content {
                    time,
                    source,
                    target,
                    protocol,
                    bytes: content,
                    missing,
                },
                depth,
                skipped,
            );
        };
        let (done, given_up) = self.fragments.take(time, &datagram, place);
        if let Some(whole) = given_up {
            skipped.count("IP packets of which fragments are missing");
            self.whole(&whole, depth, skipped);
        }
        if let Some(whole) = done {
            self.whole(&whole, depth, skipped);
        }
    }

    fn whole(&mut self, whole: &Whole, depth: u8, skipped: &mut Skipped) {
        let &Whole {
            time,
            source,
            target,
            protocol,
            ref content,
            missing,
        } = whole;
        self.content(
            &Content {
                time,
                source,
                target,
                protocol,
                bytes: content,
                missing,
            },
            depth + 1,
            skipped,
        );
    }

    fn content(&mut self, content: &Content<'_>, depth: u8, skipped: &mut Skipped) {
        let inner = match content.protocol {
            UDP => return self.udp(content, depth, skipped),
            TCP => return self.tcp(content, skipped),
            // IP in IP (RFC 2003), IPv6 in IPv4 (RFC 4213).
            4 | 41 => Some(content.bytes),
            47 => network::gre(content.bytes),
            _ => None,
        };
        match inner {
            Some(packet) => self.ip(content.time, packet, depth + 1, skipped),
            None => skipped.count("packets that are neither UDP nor TCP"),
        }
    }

    fn udp(&mut self, content: &Content<'_>, depth: u8, skipped: &mut Skipped) {
        let (Some(sport), Some(dport), Some(length), Some(payload)) = (
            be16(content.bytes, 0),
            be16(content.bytes, 2),
            be16(content.bytes, 4),
            content.bytes.get(8..),
        ) else {
            return skipped.count("packets cut by the capture (snaplen) before their content");
        };
        let length = usize::from(length).saturating_sub(8);
        let wire = payload.len() + content.missing;
        // A sender may say less than it sends; the rest is padding.
        let payload = if (1..payload.len()).contains(&length) {
            payload.get(..length).unwrap_or(payload)
        } else {
            payload
        };
        if dport == VXLAN {
            if let Some(packet) = network::vxlan(payload) {
                return self.ip(content.time, packet, depth + 1, skipped);
            }
        }
        if payload.starts_with(b"HEP3") {
            return self.hep(payload, content.time, skipped);
        }
        let on_port = PORTS.contains(&sport) || PORTS.contains(&dport);
        let looks = could_be_sip(payload.trim_ascii_start());
        if content.missing > 0 {
            if !looks {
                return skipped.count(if on_port {
                    "SIP messages cut by the capture (snaplen) within their first line"
                } else {
                    "UDP datagrams that are no SIP"
                });
            }
            skipped.count("SIP messages cut by the capture (snaplen): what is missing tells against nobody");
        } else if wire < SHORTEST && payload.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return skipped.count("keep-alives");
        } else if !(payload.len() >= SHORTEST && (on_port || looks)) {
            return skipped.count("UDP datagrams that are no SIP");
        }
        let raw = self.batch.put(&[payload]);
        self.batch.items.push(Recorded {
            raw,
            known: if content.missing > 0 { Known::Cut } else { Known::Whole },
            ..recorded(content.time, content.source, sport, "udp")
        });
    }

    fn tcp(&mut self, content: &Content<'_>, skipped: &mut Skipped) {
        let bytes = content.bytes;
        let (Some(sport), Some(dport), Some(sequence), Some(&offset), Some(&flags)) = (
            be16(bytes, 0),
            be16(bytes, 2),
            be32(bytes, 4),
            bytes.get(12),
            bytes.get(13),
        ) else {
            return skipped.count("packets cut by the capture (snaplen) before their content");
        };
        let payload = bytes.get(usize::from(offset >> 4) * 4..).unwrap_or_default();
        let segment = Segment {
            sequence,
            flags,
            payload,
            missing: content.missing,
        };
        let (batch, key) = (&mut self.batch, (content.source, sport, content.target, dport));
        self.streams.take(key, content.time, &segment, skipped, |message| {
            let raw = batch.put(&[message]);
            batch.items.push(Recorded {
                raw,
                ..recorded(content.time, content.source, sport, "tcp")
            });
        });
    }

    fn hep(&mut self, packet: &[u8], time: f64, skipped: &mut Skipped) {
        let Some(inside) = hep::read(packet) else {
            return skipped.count("HEP packets that hold no SIP");
        };
        let raw = self.batch.put(&[inside.payload]);
        let time = if inside.time > 0.0 { inside.time } else { time };
        self.batch.items.push(Recorded {
            raw,
            ..recorded(time, inside.source, inside.port, inside.transport)
        });
    }
}
