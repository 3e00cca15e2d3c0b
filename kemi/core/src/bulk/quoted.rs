//! What parse errors quote of a message: parts of it, each of which says what it is by the function that complains.

use std::borrow::Cow;

use super::join::Open;

/// With a CR before each line end.
pub fn with_returns(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    for &byte in text {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// What stands between the first bracket or quote and the one at the end of a line.
pub fn quoted(text: &[u8]) -> Option<&[u8]> {
    let mut end = text.len();
    while end > 0
        && (text[end - 1].is_ascii_whitespace() || (text[end - 1] == b'.' && end > 1 && text[end - 2] == b' '))
    {
        end -= 1;
    }
    let last = end.checked_sub(1).filter(|&at| b"]>'".contains(&text[at]))?;
    let first = text[..last].iter().position(|byte| b"[<'".contains(byte))?;
    text.get(first + 1..last)
}

/// Header values out of what a parse error quotes.
pub fn fragment(open: &mut Open, function: &[u8], text: &[u8], inside: &[u8]) {
    let unreadable =
        |open: &mut Open, value: &[u8]| open.header("x-unreadable", value.get(..1024).unwrap_or(value).to_vec());
    match function {
        _ if text.starts_with(b"bad From header") => open.set("from", inside.to_vec()),
        b"check_ruri_scheme" => open.uri = inside.get(..1024).unwrap_or(inside).to_vec(),
        b"parse_contacts" => {
            let end = memchr::memmem::find(inside, b"' (").unwrap_or(inside.len());
            open.header("contact", inside[..end].to_vec());
        }
        b"parse_headers" | b"parse_sip_header_name" => {
            let mut at = 0;
            let mut number = 0;
            while at < inside.len() {
                // A line end behind which a folded line goes on ends no header field.
                let end = memchr::memchr_iter(b'\n', &inside[at..])
                    .map(|end| at + end)
                    .find(|&end| !matches!(inside.get(end + 1), Some(b' ' | b'\t')))
                    .unwrap_or(inside.len());
                let part = inside[at..end].strip_suffix(b"\r").unwrap_or(&inside[at..end]);
                if let Some((name, value)) = field(part) {
                    let longer =
                        |(known, old): &(Cow<'static, str>, Vec<u8>)| *known == name && old.len() >= value.len();
                    if !open.headers.iter().any(longer) {
                        open.set(name, value.to_vec());
                    }
                } else if number == 0 && !part.is_empty() {
                    unreadable(open, part);
                }
                at = end + 1;
                number += 1;
            }
        }
        b"parse_addr_spec" | b"parse_to_param" => {
            let status =
                memchr::memmem::find(inside.get(..200.min(inside.len())).unwrap_or_default(), b"status").is_some();
            let open_at = memchr::memchr(b'[', inside).filter(|_| status);
            unreadable(open, open_at.map_or(inside, |at| &inside[at + 1..]));
        }
        _ => {}
    }
}

/// `Name: value`; the name in lower case.
fn field(part: &[u8]) -> Option<(String, &[u8])> {
    let count = part
        .iter()
        .take(42)
        .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-')
        .count();
    if !(1..=41).contains(&count) || part[0] == b'-' {
        return None;
    }
    let rest = &part[count..];
    let value = rest.strip_prefix(b" ").unwrap_or(rest).strip_prefix(b":")?;
    Some((
        String::from_utf8_lossy(&part[..count]).to_ascii_lowercase(),
        value.trim_ascii(),
    ))
}
