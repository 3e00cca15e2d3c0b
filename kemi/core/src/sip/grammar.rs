//! RFC 3261's character classes and productions, each under the grammar that it implements.

use super::model::Span;

/// A set of bytes.
pub type Class = [bool; 256];

/// The set of these bytes.
pub const fn class(bytes: &[u8]) -> Class {
    let mut set = [false; 256];
    let mut at = 0;
    while at < bytes.len() {
        set[bytes[at] as usize] = true;
        at += 1;
    }
    set
}

// token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~" )   (25.1)
pub static TOKEN: Class = class(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~");

/// White space round values and folds.
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// White space as scripting languages have it, form feed and vertical tab included.
pub const fn is_any_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// Whether `value` is a non-empty token.
pub fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|&byte| TOKEN[byte as usize])
}

/// A value as text: other bytes than ASCII as `\xNN`.
pub fn ascii(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii() {
            text.push(byte.into());
        } else {
            text.push_str("\\x");
            text.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        }
    }
    text
}

/// `value` without these bytes at its ends.
pub fn trim(value: &[u8], dropped: fn(u8) -> bool) -> &[u8] {
    trim_end(trim_start(value, dropped), dropped)
}

pub fn trim_start(value: &[u8], dropped: fn(u8) -> bool) -> &[u8] {
    let first = value.iter().position(|&byte| !dropped(byte)).unwrap_or(value.len());
    &value[first..]
}

pub fn trim_end(value: &[u8], dropped: fn(u8) -> bool) -> &[u8] {
    let end = value
        .iter()
        .rposition(|&byte| !dropped(byte))
        .map_or(0, |last| last + 1);
    &value[..end]
}

pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A span without white space at its ends.
pub fn trimmed(raw: &[u8], span: Span) -> Span {
    let Span { mut start, mut end } = span;
    while start < end && is_space(raw[start]) {
        start += 1;
    }
    while end > start && is_space(raw[end - 1]) {
        end -= 1;
    }
    Span { start, end }
}

fn after_spaces(value: &[u8], at: usize) -> usize {
    at + value[at..].iter().take_while(|&&byte| is_space(byte)).count()
}

/// Where the spaces in front of a place begin.
fn before_spaces(value: &[u8], at: usize) -> usize {
    at - value[..at].iter().rev().take_while(|&&byte| is_space(byte)).count()
}

fn after_any_spaces(value: &[u8], at: usize) -> usize {
    at + value[at..].iter().take_while(|&&byte| is_any_space(byte)).count()
}

fn digits(value: &[u8]) -> usize {
    value.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// SIP-Version  = "SIP" "/" 1*DIGIT "." 1*DIGIT   (25.1)
///
/// The length of the version that `value` begins with; each number has 20 digits at the most.
fn version(value: &[u8]) -> Option<usize> {
    if !value.get(..4)?.eq_ignore_ascii_case(b"SIP/") {
        return None;
    }
    let major = digits(&value[4..]);
    let dot = 4 + major;
    if !(1..=20).contains(&major) || value.get(dot) != Some(&b'.') {
        return None;
    }
    let minor = digits(&value[dot + 1..]);
    (1..=20).contains(&minor).then_some(dot + 1 + minor)
}

/// Whether all of `value` is a SIP-Version.
pub fn is_version(value: &[u8]) -> bool {
    version(value) == Some(value.len())
}

/// Request-Line = Method SP Request-URI SP SIP-Version CRLF   (7.1)
///
/// The length of the method that a line begins with, which white space follows. Tolerant: any bytes but white space and
/// colon, 64 at the most.
pub fn method(line: &[u8]) -> Option<usize> {
    let length = line
        .iter()
        .take(65)
        .take_while(|&&byte| !is_any_space(byte) && byte != b':')
        .count();
    ((1..=64).contains(&length) && line.get(length).copied().is_some_and(is_blank)).then_some(length)
}

/// Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF   (7.2)
///
/// The status code, and where the reason phrase begins; `None` for what is no status line.
pub fn status_line(line: &[u8]) -> Option<(u16, usize)> {
    let mut at = version(line)?;
    let blanks = line[at..].iter().take_while(|&&byte| is_blank(byte)).count();
    at += blanks;
    let length = digits(&line[at..]);
    if blanks == 0 || !(1..=10).contains(&length) {
        return None;
    }
    let code = number(&line[at..at + length])?.min(9999) as u16;
    at += length;
    match line.get(at) {
        None => Some((code, at)),
        Some(&byte) if is_blank(byte) && !line[at + 1..].iter().any(|&byte| matches!(byte, b'\r' | b'\n')) => {
            Some((code, at + 1))
        }
        Some(_) => None,
    }
}

/// A number of 1 to 20 digits.
pub fn number(value: &[u8]) -> Option<u128> {
    if !(1..=20).contains(&value.len()) {
        return None;
    }
    value.iter().try_fold(0u128, |sum, &byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u128::from(byte - b'0'))
    })
}

/// CSeq = "CSeq" HCOLON 1*DIGIT LWS Method   (25.1)
///
/// The number and the method of a whole value.
pub fn cseq(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = digits(value);
    let method_at = after_spaces(value, length);
    let method = &value[method_at..];
    let whole = (1..=20).contains(&length)
        && method_at > length
        && (1..=64).contains(&method.len())
        && !method.iter().any(|&byte| is_any_space(byte));
    whole.then_some((&value[..length], method))
}

/// scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ), and the colon after it   (25.1)
///
/// Where what follows the colon begins.
fn after_scheme(value: &[u8], at: usize) -> Option<usize> {
    let rest = value.get(at..)?;
    if !rest.first()?.is_ascii_alphabetic() {
        return None;
    }
    let length = rest.iter().take_while(|&&byte| is_scheme(byte)).count();
    let colon = after_any_spaces(value, at + length);
    (value.get(colon) == Some(&b':')).then_some(colon + 1)
}

pub const fn is_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-')
}

/// name-addr = [ display-name ] LAQUOT addr-spec RAQUOT;  absoluteURI = scheme ":" ( hier-part / opaque-part )   (25.1)
///
/// Whether a value is a name-addr or addr-spec. Tolerant: an unquoted display name may hold anything but "<", as clients
/// send it.
pub fn is_address(value: &[u8]) -> bool {
    let behind_name = match value.first() {
        None => return false,
        Some(b'"') => match closing_quote(value, 1, value.len()) {
            Some(close) => close + 1,
            None => return false,
        },
        Some(_) => 0,
    };
    let Some(low) = memchr::memchr(b'<', &value[behind_name..]) else {
        return behind_name == 0 && is_addr_spec(value);
    };
    let Some(at) = after_scheme(value, after_any_spaces(value, behind_name + low + 1)) else {
        return false;
    };
    matches!(memchr::memchr(b'>', &value[at..]), Some(high) if high > 0)
}

fn is_addr_spec(value: &[u8]) -> bool {
    let Some(at) = after_scheme(value, 0) else {
        return false;
    };
    let at = after_any_spaces(value, at);
    at < value.len() && memchr::memchr2(b'<', b'>', &value[at..]).is_none()
}

/// quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE   (25.1)
///
/// The offset of the quote that closes a string opened just before `start`; none behind `end` counts.
pub fn closing_quote(raw: &[u8], start: usize, end: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr::memchr2(b'"', b'\\', raw.get(at..end)?)?;
        if raw[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// tag-param = "tag" EQUAL token   (25.1)
///
/// The tag among the parameters behind an address, as far as a token may go: `Some(b"")` is a tag without a value.
pub fn tag(parameters: &[u8]) -> Option<&[u8]> {
    tag_words(parameters).find_map(|(start, end)| {
        let before = &parameters[..before_spaces(parameters, start)];
        let equals = after_spaces(parameters, end);
        if before.last() != Some(&b';') || parameters.get(equals) != Some(&b'=') {
            return None;
        }
        let value = &parameters[after_spaces(parameters, equals + 1)..];
        let length = value
            .iter()
            .take_while(|&&byte| !is_any_space(byte) && !matches!(byte, b';' | b',' | b'>' | b'"'));
        Some(&value[..length.count()])
    })
}

/// Where "tag" stands, in either case: begin and end. Blocks without an "ag" are passed over whole, so that no mark that a long
/// value is full of costs more than others.
fn tag_words(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    const BLOCK: usize = 64;
    let is_end = |at: usize| text[at - 1] | 0x20 == b'a' && text[at] | 0x20 == b'g';
    (2..text.len()).step_by(BLOCK).flat_map(move |from| {
        let block = from..text.len().min(from + BLOCK);
        let (before, here) = (&text[block.start - 1..block.end - 1], &text[block.clone()]);
        let pairs = before.iter().zip(here);
        let any = pairs.fold(false, |any, (a, g)| any | ((a | 0x20 == b'a') & (g | 0x20 == b'g')));
        let places = if any { block } else { 0..0 };
        places
            .filter(move |&at| is_end(at) && text[at - 2] | 0x20 == b't')
            .map(|at| (at - 2, at + 1))
    })
}

/// What stands behind the last ">" of an address: its header parameters, or all of it.
pub fn behind_address(value: &[u8]) -> &[u8] {
    memchr::memrchr(b'>', value).map_or(value, |at| &value[at + 1..])
}

/// `boundary := 0*69<bchars> bcharsnospace`   (RFC 2046 5.1.1)
///
/// Where the boundary of a multipart Content-Type stands, between the dashes at its ends. Of bchars those that no SQL or
/// shell needs: a boundary may hold "'" and "(", but then it is read as any text is.
pub fn boundary(value: &[u8]) -> Option<Span> {
    if !value.get(..10)?.eq_ignore_ascii_case(b"multipart/") {
        return None;
    }
    let subtype = value[10..].iter().take(64).take_while(|&&byte| is_scheme(byte)).count();
    if subtype == 0 {
        return None;
    }
    // Of the subtype any part may be what stands before the semicolon.
    let last = value.len().min(10 + subtype + 401);
    let mut at = 11;
    while at < last {
        match value[at] {
            b'\'' | b'(' | b')' => return None,
            b';' => {
                if let Some(span) = boundary_parameter(value, at + 1) {
                    return Some(span);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn boundary_parameter(value: &[u8], at: usize) -> Option<Span> {
    let name = after_spaces(value, at);
    if !value.get(name..name + 8)?.eq_ignore_ascii_case(b"boundary") {
        return None;
    }
    let equals = after_spaces(value, name + 8);
    if value.get(equals) != Some(&b'=') {
        return None;
    }
    let mut start = after_spaces(value, equals + 1);
    let quoted = value.get(start) == Some(&b'"');
    start += usize::from(quoted);
    let mut end = start;
    while value.get(end).is_some_and(|&byte| is_boundary(byte, quoted)) {
        end += 1;
    }
    let after = if quoted {
        if value.get(end) != Some(&b'"') {
            return None;
        }
        end + 1
    } else {
        end
    };
    if !matches!(value.get(after_spaces(value, after)), None | Some(b';')) {
        return None;
    }
    let leading = value[start..end].iter().take_while(|&&byte| byte == b'-').count();
    let (start, mut stop) = (start + leading, end);
    while stop > start && value[stop - 1] == b'-' {
        stop -= 1;
    }
    (leading <= 70 && end - stop <= 70 && stop - start <= 70).then_some(Span { start, end: stop })
}

fn is_boundary(byte: u8, quoted: bool) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'+' | b'_' | b'.' | b'-')
        || (quoted && matches!(byte, b',' | b'/' | b':' | b'=' | b'?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_clients_write_them() {
        for value in [
            "\"A. G. Bell\" <sip:agb@bell-telephone.com>;tag=a48s",
            "sip:+12125551212@server.phone2net.com;tag=887s",
            "Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8",
            "<tel:+1-201-555-0123>",
            "\"a\\\"<b\" <sip:x@y>",
            "\"\" < sip : x@y>",
        ] {
            assert!(is_address(value.as_bytes()), "{value}");
        }
        for value in [
            "",
            "<>",
            "\"open <sip:a@b>",
            "no address",
            "<sip:>",
            "a <b> sip:x@y",
            "<sip:a@b",
        ] {
            assert!(!is_address(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_tag_is_found_behind_the_address_only() {
        assert_eq!(
            tag(behind_address(b"<sip:a@b;tag=no>;x=1; Tag = yes;z")),
            Some(&b"yes"[..])
        );
        assert_eq!(tag(behind_address(b"<sip:a@b>;tag=")), Some(&b""[..]));
        assert_eq!(tag(behind_address(b"<sip:a@b>;stag=1")), None);
        assert_eq!(tag(b";a=tag=1;tag;tag =2"), Some(&b"2"[..]));
        assert_eq!(tag(b"tag=1;b=2; \t;TAG\t=\t,"), Some(&b""[..]));
    }

    #[test]
    fn first_lines() {
        assert_eq!(status_line(b"SIP/2.0 200 OK"), Some((200, 12)));
        assert_eq!(status_line(b"sip/2.0\t 99999"), Some((9999, 14)));
        assert_eq!(status_line(b"SIP/2.0 200OK"), None);
        assert_eq!(method(b"INVITE sip:x"), Some(6));
        assert_eq!(method(b"IN:VITE x"), None);
        assert!(is_version(b"SIP/2.0") && !is_version(b"SIP/2.0 "));
    }

    #[test]
    fn boundaries_between_their_dashes() {
        let value = b"multipart/mixed; boundary=\"--unique-boundary-1--\"";
        let span = boundary(value).expect("a boundary");
        assert_eq!(span.of(value), b"unique-boundary-1");
        assert!(boundary(b"multipart/mixed;boundary=a'b").is_none());
        assert!(boundary(b"application/sdp").is_none());
    }
}
