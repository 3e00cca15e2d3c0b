//! Names with wildcards, as exceptions have them: `sql-*`, `from.?`, `via[[]1].host`.

/// Whether a whole text matches a pattern: `*` any text, `?` one byte, `[abc]`, `[a-z]` and `[!a]` one byte of a set.
///
/// Takes time linear in the text for each `*` of the pattern.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, read));
            at += 1;
            continue;
        }
        match one(&pattern[at.min(pattern.len())..], text[read]) {
            Some(length) => {
                at += length;
                read += 1;
            }
            // The last star takes one byte more; what it took before can't help.
            None => match star {
                Some((place, begun)) => {
                    star = Some((place, begun + 1));
                    at = place + 1;
                    read = begun + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at.min(pattern.len())..].iter().all(|&byte| byte == b'*')
}

/// The length of the pattern's first element, where it matches that byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let negated = pattern.get(1) == Some(&b'!');
            let start = 1 + usize::from(negated);
            // A bracket right behind the opening one is a member.
            let Some(close) = pattern.iter().skip(start + 1).position(|&byte| byte == b']') else {
                return (byte == b'[').then_some(1);
            };
            let set = &pattern[start..start + 1 + close];
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if set.get(at + 1) == Some(&b'-') && at + 2 < set.len() {
                    found |= (set[at]..=set[at + 2]).contains(&byte);
                    at += 3;
                } else {
                    found |= set[at] == byte;
                    at += 1;
                }
            }
            (found != negated).then_some(start + close + 2)
        }
        literal => (literal == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards() {
        for (pattern, text) in [
            ("sql-*", "sql-comment"),
            ("*", ""),
            ("a?c", "abc"),
            ("*.display_name", "from.display_name"),
            ("[a-c]x", "bx"),
            ("[!a]", "b"),
            ("via[[]1].host", "via[1].host"),
            ("a*b*c", "aXbYbc"),
            ("[", "["),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("sql-*", "shell-x"),
            ("", "a"),
            ("a?c", "ac"),
            ("[!a]", "a"),
            ("a*b", "ac"),
            ("A", "a"),
        ] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
