//! From a frame to the IP packet in it, and through what packets are wrapped in.

use std::net::IpAddr;

use super::container::Packet;
use super::{be16, be32};

/// An IP packet's content, or a fragment of it.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    pub source: IpAddr,
    pub target: IpAddr,
    /// As IANA numbers them: 17 UDP, 6 TCP.
    pub protocol: u8,
    pub content: &'a [u8],
    /// Bytes of the content that the capture left out.
    pub missing: usize,
    pub fragment: Option<Fragment>,
}

/// Where a fragment belongs (RFC 791 3.2, RFC 8200 4.5).
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    pub identity: u32,
    pub offset: usize,
    pub more: bool,
}

/// The IP packet in a frame; `None` where there is none.
pub fn ip_of<'a>(packet: &Packet<'a>) -> Option<&'a [u8]> {
    let bytes = packet.bytes;
    match packet.link {
        // Four bytes of address family.
        0 | 108 => bytes.get(4..),
        1 => ethernet(bytes),
        // PPP, with and without address and control bytes, and in HDLC framing.
        9 | 50 => ppp(bytes.strip_prefix(b"\xff\x03").unwrap_or(bytes)),
        51 => pppoe(bytes),
        12 | 14 | 101 | 228 | 229 => Some(bytes),
        113 => ethertype(be16(bytes, 14)?, bytes.get(16..)?),
        276 => ethertype(be16(bytes, 0)?, bytes.get(20..)?),
        _ => None,
    }
}

/// The IP packet in an Ethernet frame.
pub fn ethernet(frame: &[u8]) -> Option<&[u8]> {
    ethertype(be16(frame, 12)?, frame.get(14..)?)
}

/// The IP packet behind an EtherType: through VLAN tags, PPPoE sessions and MPLS labels.
pub fn ethertype(mut kind: u16, mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..8 {
        match kind {
            0x0800 | 0x86DD => return Some(rest),
            0x8100 | 0x88A8 | 0x9100 => {
                kind = be16(rest, 2)?;
                rest = rest.get(4..)?;
            }
            0x8864 => return pppoe(rest),
            0x8847 | 0x8848 => {
                let last = rest.get(2)? & 1 == 1;
                rest = rest.get(4..)?;
                if last {
                    kind = if rest.first()? >> 4 == 6 { 0x86DD } else { 0x0800 };
                }
            }
            _ => return None,
        }
    }
    None
}

/// RFC 2516 4: version, code, session, length.
fn pppoe(rest: &[u8]) -> Option<&[u8]> {
    ppp(rest.get(6..)?)
}

/// RFC 1661 2: a protocol field of one or two bytes.
fn ppp(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [0x00, 0x21 | 0x57, inside @ ..] | [0x21 | 0x57, inside @ ..] => Some(inside),
        _ => None,
    }
}

/// What GRE carries (RFC 2784, with the key and number of RFC 2890): an IP packet; `None` for anything else.
pub fn gre(bytes: &[u8]) -> Option<&[u8]> {
    let flags = be16(bytes, 0)?;
    let kind = be16(bytes, 2)?;
    if flags & 7 != 0 {
        return None;
    }
    let words = [0x8000, 0x2000, 0x1000]
        .iter()
        .filter(|&&flag| flags & flag != 0)
        .count();
    let inside = bytes.get(4 + 4 * words..)?;
    match kind {
        0x6558 => ethernet(inside),
        // ERSPAN type II: its header is there where GRE's number is.
        0x88BE => ethernet(inside.get(if flags & 0x1000 == 0 { 0 } else { 8 }..)?),
        _ => ethertype(kind, inside),
    }
}

/// The Ethernet frame's IP packet in VXLAN (RFC 7348 5); the flag says that there is a network's number.
pub fn vxlan(payload: &[u8]) -> Option<&[u8]> {
    if payload.first()? & 0x08 == 0 || payload.get(1..4)? != [0, 0, 0] {
        return None;
    }
    ethernet(payload.get(8..)?)
}

/// Reads an IP packet; `None` where it is none. Padding behind it is left off.
pub fn datagram(packet: &[u8]) -> Option<Datagram<'_>> {
    match packet.first()? >> 4 {
        4 => ipv4(packet),
        6 => ipv6(packet),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<Datagram<'_>> {
    let header = usize::from(packet.first()? & 15) * 4;
    let total = usize::from(be16(packet, 2)?);
    if header < 20 {
        return None;
    }
    let rest = packet.get(header..)?;
    // Of a packet that its own network card is yet to cut, the length is 0.
    let length = if total == 0 {
        rest.len()
    } else {
        total.checked_sub(header)?
    };
    let content = rest.get(..length).unwrap_or(rest);
    let place = be16(packet, 6)?;
    let (more, offset) = (place & 0x2000 != 0, usize::from(place & 0x1FFF) * 8);
    let identity = be16(packet, 4)?.into();
    Some(Datagram {
        source: IpAddr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?),
        target: IpAddr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?),
        protocol: *packet.get(9)?,
        content,
        missing: length - content.len(),
        fragment: (more || offset > 0).then_some(Fragment { identity, offset, more }),
    })
}

fn ipv6(packet: &[u8]) -> Option<Datagram<'_>> {
    let length = usize::from(be16(packet, 4)?);
    let rest = packet.get(40..)?;
    let length = if length == 0 { rest.len() } else { length };
    let mut content = rest.get(..length).unwrap_or(rest);
    let missing = length - content.len();
    let mut protocol = *packet.get(6)?;
    let mut fragment = None;
    // RFC 8200 4.1: extension headers, each with the next one's number and its own length.
    for _ in 0..8 {
        let size = match protocol {
            0 | 43 | 60 | 135 => 8 + usize::from(*content.get(1)?) * 8,
            51 => 8 + usize::from(*content.get(1)?) * 4,
            44 => {
                let place = be16(content, 2)?;
                let (offset, more) = (usize::from(place & !7), place & 1 == 1);
                let identity = be32(content, 4)?;
                fragment = (more || offset > 0).then_some(Fragment { identity, offset, more });
                8
            }
            _ => break,
        };
        protocol = *content.first()?;
        content = content.get(size..)?;
        if fragment.is_some_and(|fragment| fragment.offset > 0) {
            // What follows is the middle of something.
            break;
        }
    }
    Some(Datagram {
        source: IpAddr::from(<[u8; 16]>::try_from(packet.get(8..24)?).ok()?),
        target: IpAddr::from(<[u8; 16]>::try_from(packet.get(24..40)?).ok()?),
        protocol,
        content,
        missing,
        fragment,
    })
}
