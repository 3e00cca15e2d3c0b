//! HEP3, the form in which HOMER's agents send what they captured.
//!
//! ```text
//! "HEP3", length (2), then chunks of vendor (2), type (2), length with this header (2), bytes
//! 2 protocol, 3 and 4 IPv4 source and destination, 5 and 6 IPv6, 7 and 8 ports, 9 seconds, 10 microseconds,
//! 11 what is inside (1: SIP), 15 the payload                       (github.com/sipcapture/HEP, draft 3)
//! ```

use std::net::IpAddr;

use super::{be16, be32};

/// What a HEP packet says of a SIP message.
#[derive(Debug)]
pub struct Inside<'a> {
    /// Seconds since the epoch; 0 where none are told.
    pub time: f64,
    pub source: IpAddr,
    pub port: u16,
    pub transport: &'static str,
    pub payload: &'a [u8],
}

/// Reads one packet; `None` where it holds no SIP message of a named source.
pub fn read(packet: &[u8]) -> Option<Inside<'_>> {
    let length = usize::from(be16(packet, 4)?);
    let mut rest = packet
        .strip_prefix(b"HEP3")?
        .get(2..length.min(packet.len()).checked_sub(4)?)?;
    let (mut source, mut port, mut protocol, mut seconds, mut micro, mut kind) = (None, 0, 17, 0, 0, 1);
    let mut payload: &[u8] = b"";
    while rest.len() >= 6 {
        let (vendor, chunk, length) = (be16(rest, 0)?, be16(rest, 2)?, usize::from(be16(rest, 4)?));
        let value = rest.get(6..length)?;
        if vendor == 0 {
            match chunk {
                2 => protocol = *value.first()?,
                3 => source = <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
                5 => source = <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
                7 => port = be16(value, 0)?,
                9 => seconds = be32(value, 0)?,
                10 => micro = be32(value, 0)?,
                11 => kind = *value.first()?,
                15 => payload = value,
                _ => {}
            }
        }
        rest = rest.get(length..)?;
    }
    if kind != 1 || payload.is_empty() {
        return None;
    }
    let transport = match protocol {
        6 => "tcp",
        132 => "sctp",
        _ => "udp",
    };
    let time = f64::from(seconds) + f64::from(micro) * 1e-6;
    Some(Inside {
        time,
        source: source?,
        port,
        transport,
        payload,
    })
}
