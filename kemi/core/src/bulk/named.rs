//! Finds the sources that a script's line names by a word before them: `from 203.0.113.7:5060`, `src=203.0.113.7`.

use regex_automata::{Anchored, Input};

use super::xlog::{MOST, patterns};

/// Words that name a source, and the bytes of the longest.
const NAMED: [&[u8]; 9] = [
    b"src", b"si", b"src_ip", b"source", b"ip", b"IP", b"from", b"peer", b"via",
];
const NAMED_LONGEST: usize = 6;

/// Where an address begins, the address, and its port (empty without).
type Named<'t> = (usize, [&'t [u8]; 2]);

/// What `all` gives of the pattern of named sources. It is tried where one of its words stands alone: to search for it costs
/// three times as much.
pub fn named(text: &[u8]) -> Vec<Named<'_>> {
    let pattern = &patterns().source;
    let mut groups = None;
    let mut found = Vec::new();
    let mut from = 0;
    for end in memchr::memchr3_iter(b' ', b'=', b':', text) {
        let count = text[..end]
            .iter()
            .rev()
            .take(NAMED_LONGEST + 1)
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let start = end - count;
        if start < from || !NAMED.contains(&&text[start..end]) {
            continue;
        }
        let groups = groups.get_or_insert_with(|| pattern.create_captures());
        if let Some((one, behind)) = simply_named(text, end + 1) {
            from = behind;
            found.push(one);
            if found.len() == MOST {
                break;
            }
            continue;
        }
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        pattern.search_captures(&input, groups);
        let Some(whole) = groups.get_match() else {
            continue;
        };
        from = whole.end();
        let part = |group: usize| groups.get_group(group).and_then(|span| text.get(span.range()));
        let at = groups.get_group(1).map_or(0, |span| span.start);
        found.push((at, [1, 2].map(|group| part(group).unwrap_or_default())));
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// What `named` finds of `203.0.113.7:5060 ` right behind a word and its sign, as most lines have it, and where it ends: a look
/// costs a tenth of the pattern.
fn simply_named(text: &[u8], at: usize) -> Option<(Named<'_>, usize)> {
    let count = |from: usize, most: usize| {
        let digits = text
            .get(from..)?
            .iter()
            .take(most + 1)
            .take_while(|byte| byte.is_ascii_digit());
        Some(digits.count()).filter(|count| (1..=most).contains(count))
    };
    let mut end = at;
    for number in 0..4 {
        end += count(end, 3)?;
        if text.get(end) != Some(if number < 3 { &b'.' } else { &b':' }) {
            return None;
        }
        end += 1;
    }
    let port = end + count(end, 5)?;
    let behind = match text.get(port) {
        None => port,
        Some(b' ') => port + 1,
        Some(_) => return None,
    };
    Some(((at, [&text[at..end - 1], &text[end..port]]), behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::xlog::all;
    use crate::random::Random;

    #[test]
    fn named_sources_are_those_of_the_pattern() {
        let pieces = [
            "src",
            "si",
            "src_ip",
            "source",
            "ip",
            "IP",
            "from",
            "peer",
            "via",
            "xfrom",
            "from_",
            "Ip",
            " ",
            " ",
            " ",
            "=",
            "=",
            ":",
            ": ",
            " = ",
            "udp:",
            "tcp:",
            "[",
            "]",
            "(",
            ")",
            "10.0.0.1",
            "192.0.2.77",
            "1.2.3",
            "2001:db8::1",
            "ab:cd",
            ":5060",
            " 5060",
            ":99999",
            ";",
            ",",
            "|",
            "@",
            "x",
            ".",
            "-",
            "\"",
            "é",
            "\n",
            "",
        ];
        let mut random = Random(7);
        let mut next = |below: usize| random.below(below);
        let (mut seen, mut several) = (0, 0);
        for _ in 0..200_000 {
            let mut text = String::new();
            for _ in 0..next(16) {
                if next(3) == 0 {
                    text.push_str(pieces[next(9)]);
                    text.push_str(pieces[12 + next(8)]);
                    text.push_str(pieces[20 + next(10)]);
                } else {
                    text.push_str(pieces[next(pieces.len())]);
                }
            }
            let said = named(text.as_bytes());
            assert_eq!(
                said,
                all(&patterns().source, text.as_bytes()).collect::<Vec<_>>(),
                "{text:?}"
            );
            seen += said.len();
            several += usize::from(said.len() > 1);
        }
        assert!(seen > 20_000 && several > 1_000, "{seen} {several}");
        assert_eq!(named("from 10.0.0.1,".repeat(40).as_bytes()).len(), MOST);
    }
}
