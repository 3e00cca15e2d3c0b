//! Tells what programs write for programs to read: URLs, JSON, lists of names with values, and lines of them.

/// Bytes of a value that are looked at; what is longer is told by its beginning.
const MOST: usize = 2048;

/// URIs of these schemes have no two slashes.
const SCHEMES: [&[u8]; 8] = [b"sip", b"sips", b"tel", b"urn", b"geo", b"mailto", b"cid", b"data"];

/// Parameters of SIP's URIs that have no value.
const FLAGS: [&[u8]; 4] = [b"lr", b"ob", b"gr", b"rport"];

/// What Asterisk and FreeSWITCH name a channel by (`SIP/100&SIP/101,30`).
const CHANNELS: [&[u8]; 12] = [
    b"sip",
    b"pjsip",
    b"iax2",
    b"dahdi",
    b"local",
    b"sccp",
    b"sofia",
    b"user",
    b"group",
    b"verto",
    b"loopback",
    b"audiosocket",
];

/// Whether a value has a form in which programs write to each other, and nothing beside that form.
///
/// Who reads it would miss it if it was taken out. No value of a list, no part of a URL and no line may hold a mark by which a shell or a
/// query would be left, so that a form is no way around what is asked of others; JSON and messages are told by how they begin, and
/// what is hostile inside is the rules' to find.
pub fn by_program(value: &[u8]) -> bool {
    let value = value[..value.len().min(MOST)].trim_ascii();
    is_uri(value) || is_json(value) || is_list(value) || is_lines(value) || is_dialled(value)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// A name as programs give them: it begins with a letter, and is made of letters, digits, dots, dashes and lines.
fn is_name(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().copied().all(is_word)
}

/// What stands unquoted: words, numbers, addresses, base64.
fn is_bare(text: &[u8]) -> bool {
    let may =
        |byte: u8| is_word(byte) || !byte.is_ascii() || matches!(byte, b':' | b'/' | b'@' | b'+' | b'%' | b'=' | b'~');
    text.iter().copied().all(may) && !text.starts_with(b"-")
}

/// What stands in quotes: words and what parts them in prose.
fn is_said(text: &[u8]) -> bool {
    text.iter().all(|&byte| {
        is_bare(&[byte])
            || matches!(
                byte,
                b' ' | b',' | b'-' | b'(' | b')' | b'*' | b'!' | b'?' | b'[' | b']'
            )
    })
}

/// Bare, or between quotes.
fn is_value(text: &[u8]) -> bool {
    match text {
        [b'"', inside @ .., b'"'] | [b'\'', inside @ .., b'\''] => is_said(inside),
        _ => is_bare(text),
    }
}

/// A name, an equals sign or colon, and a value.
fn is_pair(text: &[u8]) -> bool {
    text.iter()
        .position(|&byte| matches!(byte, b'=' | b':'))
        .is_some_and(|at| is_name(&text[..at]) && is_value(text[at + 1..].trim_ascii()))
}

/// Splits at a mark outside of double quotes.
fn split(text: &[u8], mark: u8) -> impl Iterator<Item = &[u8]> {
    let mut open = false;
    text.split(move |&byte| {
        open ^= byte == b'"';
        byte == mark && !open
    })
    .map(<[u8]>::trim_ascii)
}

/// scheme:rest, where what stands behind a question mark, semicolon or ampersand is a name and a value; maybe in angle brackets.
fn is_uri(value: &[u8]) -> bool {
    let (uri, behind) = match value {
        [b'<', rest @ ..] => match rest.iter().position(|&byte| byte == b'>') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => return false,
        },
        _ => (value, &b""[..]),
    };
    let Some(end) = uri.iter().position(|&byte| byte == b':') else {
        return false;
    };
    let (scheme, rest) = (&uri[..end], &uri[end + 1..]);
    let known =
        is_name(scheme) && (rest.starts_with(b"//") || SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)));
    // `#` begins the last part of a URL, a number in `tel:`.
    let bare = |text: &[u8]| {
        text.iter()
            .all(|&byte| is_bare(&[byte]) || matches!(byte, b'-' | b',' | b'#' | b'*' | b'(' | b')'))
    };
    let mut parts = rest.split(|byte| matches!(byte, b'?' | b';' | b'&'));
    let named = |part: &[u8]| FLAGS.contains(&part) || part.contains(&b'=') && bare(part);
    let behind = behind
        .strip_prefix(b";")
        .map_or(behind.is_empty(), |behind| split(behind, b';').all(is_pair));
    known && parts.next().is_some_and(bare) && parts.all(named) && behind
}

/// An object or an array of JSON, or of a language that writes nearly so, by what it begins and ends with.
fn is_json(value: &[u8]) -> bool {
    let inside = match value {
        [b'{', inside @ .., b'}'] | [b'[', inside @ .., b']'] => inside.trim_ascii(),
        _ => return false,
    };
    // Names and numbers alone in brackets, as an identifier in braces.
    let bare = |byte: &u8| is_word(*byte) || matches!(byte, b',' | b' ');
    if inside.iter().all(bare) {
        return true;
    }
    if value[0] == b'[' {
        return inside.first().is_some_and(|byte| matches!(byte, b'{' | b'[' | b'"'))
            && inside.last().is_some_and(|byte| matches!(byte, b'}' | b']' | b'"'));
    }
    let (name, rest) = match inside {
        [quote @ (b'"' | b'\''), rest @ ..] => match rest.iter().position(|byte| byte == quote) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => return false,
        },
        _ => inside.split_at(inside.iter().position(|&byte| !is_word(byte)).unwrap_or(inside.len())),
    };
    is_name(name) && rest.trim_ascii_start().starts_with(b":")
}

/// Names with values, and maybe one word in front of them: `tenant=acme;site="Berlin, Mitte"`, `ingress; dur=5`.
fn is_list(value: &[u8]) -> bool {
    let of = |mark: u8| {
        let mut parts = split(value, mark);
        let first = parts.next().unwrap_or_default();
        let mut pairs = usize::from(is_pair(first));
        // Empty ones stand at the end and between, and in front of them a word.
        let rest = parts.all(|part| {
            pairs += usize::from(is_pair(part));
            part.is_empty() || is_pair(part)
        });
        rest && pairs > 0 && (is_pair(first) || pairs > 0 && !first.is_empty() && is_bare(first) && mark != b' ')
    };
    [b';', b',', b'&', b' '].into_iter().any(of)
}

/// Channels to be dialled, side by side or one after the other, and maybe for how long.
fn is_dialled(value: &[u8]) -> bool {
    let mut channels = value.split(|byte| matches!(byte, b'&' | b'|'));
    channels.all(|channel| {
        let end = channel.iter().position(|&byte| byte == b'/').unwrap_or_default();
        let known = CHANNELS.iter().any(|known| known.eq_ignore_ascii_case(&channel[..end]));
        known
            && channel[end..]
                .iter()
                .all(|&byte| is_bare(&[byte]) || matches!(byte, b',' | b'-'))
    })
}

/// Lines of a name and a value, as DTMF in INFO and what a mailbox tells; or a message of SIP.
fn is_lines(value: &[u8]) -> bool {
    if value.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let mut count = 0;
    let mut lines = value
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let good = lines.all(|line| {
        count += 1;
        line.iter()
            .position(|&byte| matches!(byte, b'=' | b':'))
            .is_some_and(|at| {
                is_name(&line[..at]) && line[at + 1..].iter().all(|&byte| is_said(&[byte]) || byte == b'#')
            })
    });
    good && count > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_write_is_told() {
        for value in [
            "tenant=acme",
            "tenant=acme;site=berlin",
            "tenant=\"acme, Berlin\"; site='x y'",
            "tenant=acme&site=berlin",
            "x=1, y=2, z=",
            "id=4711 name=acme",
            "ingress; dur=5",
            "fw:2.1.0;hw:3;mac:00:0b:82:aa:bb:cc",
            "k1=v1;k2=v2;k3=",
            "t=1700000000,v1=5257a869e7==",
            "{\"tenant\":\"acme\",\"id\":4711}",
            "{'tenant': 'acme'}",
            "{tenant:acme}",
            "[{\"id\":1},{\"id\":2}]",
            "[1,2]",
            "{a1b2c3d4-0000-4f89}",
            "https://example.com/c/4711?src=sip&lang=de#notes",
            "sip:4711@192.0.2.4:5060;transport=udp;lr",
            "<sip:100@example.com;user=phone>;reason=busy",
            "tel:*72#",
            "SIP/100&PJSIP/101@trunk,30",
            "user/100|sofia/gateway/a-b/100",
            "Signal=5\r\nDuration=160\r\n",
            "Messages-Waiting: yes\r\nMessage-Account: sip:a@example.com\r\nVoice-Message: 2/8 (0/2)\r\n",
            "SIP/2.0 200 OK\r\nReason: Q.850;cause=16;text=\"x\"\r\n",
        ] {
            assert!(by_program(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_form_is_no_way_around() {
        for value in [
            "",
            "alice",
            "x;reboot",
            "x=1;reboot",
            "a=1&reboot",
            "a=1;b=$(id)",
            "a=\"x; reboot\"",
            "a=`id`",
            "a='x' or 'b'='b",
            "x' or a='b",
            "{ reboot;}",
            "{reboot;a:b}",
            "[ -f x ] && reboot",
            "http://h/;reboot",
            "http://h/?a=1&reboot",
            "http://h/'--",
            "x:;reboot",
            "<sip:a@h>;reboot",
            "a: x\nb: y;reboot",
            "a=-opwn",
            "id=1 or 1=1",
            "x >pwn",
            "SIP/100&reboot",
            "SIP/100&bin/reboot",
            "SIP/1 & reboot",
            "x=1>pwn",
        ] {
            assert!(!by_program(value.as_bytes()), "{value}");
        }
    }
}
