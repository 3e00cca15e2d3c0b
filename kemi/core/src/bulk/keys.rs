//! Finds the keys of `key=value`, `key: value` and the like, in any case, where they are words that scripts use.

/// Keys of a line that are looked at.
const MOST: usize = 64;

/// Bytes of the longest word of a key.
const LONGEST: usize = 11;

/// A key of a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it begins, with what sets it apart from what stands before it.
    pub begin: usize,
    /// In lower case.
    pub name: &'static str,
    /// Where its value begins.
    pub value: usize,
}

const NAMES: [&str; 46] = [
    "srcip",
    "src_ip",
    "sourceip",
    "source_ip",
    "source ip",
    "src",
    "source",
    "si",
    "ip",
    "peer",
    "ua",
    "useragent",
    "user-agent",
    "user_agent",
    "user agent",
    "agent",
    "fu",
    "from",
    "caller",
    "f",
    "tu",
    "to",
    "callee",
    "t",
    "ru",
    "ruri",
    "r-uri",
    "request-uri",
    "uri",
    "r",
    "ci",
    "callid",
    "call-id",
    "call_id",
    "cid",
    "id",
    "srcport",
    "src_port",
    "port",
    "sp",
    "method",
    "rm",
    "m",
    "cseq",
    "cs",
    "status",
];

/// The others, which say nothing that is kept; a value ends where one begins.
const PASSED_OVER: [&str; 3] = ["rs", "code", "proto"];

/// Where the names begin that begin with each letter: few words are any of them, and each is looked up in a handful.
const STARTS: [usize; 27] = {
    let mut starts = [0; 27];
    let mut at = 0;
    while at < ALL.len() {
        let letter = (ALL[at].as_bytes()[0] - b'a') as usize;
        let mut behind = letter + 1;
        while behind < starts.len() {
            starts[behind] += 1;
            behind += 1;
        }
        at += 1;
    }
    starts
};

/// All names, by their first letters.
const ALL: [&str; NAMES.len() + PASSED_OVER.len()] = {
    let mut all = [""; NAMES.len() + PASSED_OVER.len()];
    let (mut letter, mut count) = (b'a', 0);
    while letter <= b'z' {
        let mut at = 0;
        while at < all.len() {
            let name = if at < NAMES.len() {
                NAMES[at]
            } else {
                PASSED_OVER[at - NAMES.len()]
            };
            if name.as_bytes()[0] == letter {
                all[count] = name;
                count += 1;
            }
            at += 1;
        }
        letter += 1;
    }
    all
};

/// Keys of two words.
const DOUBLE: [(&[u8], &str, &str); 2] = [(b"source", "ip", "source ip"), (b"user", "agent", "user agent")];

/// The keys of a line, in their order. A key stands at the beginning or behind what sets words apart; a quote may follow, and
/// a space, then `=` or `:`, and another space. Nothing belongs to two keys.
pub fn keys(text: &[u8]) -> Vec<Key> {
    let mut found: Vec<Key> = Vec::new();
    let mut from = 0;
    for sign in memchr::memchr2_iter(b'=', b':', text) {
        if let Some((begin, name)) = before(text, sign).and_then(|(start, name)| key(text, from, start, name)) {
            let value = sign + 1 + usize::from(text.get(sign + 1) == Some(&b' '));
            found.push(Key { begin, name, value });
            from = value;
            if found.len() == MOST {
                break;
            }
        }
    }
    found
}

/// The name of one word that ends before the sign, and where it begins.
fn before(text: &[u8], sign: usize) -> Option<(usize, &'static str)> {
    let head = text.get(..sign)?;
    let head = head.strip_suffix(b" ").unwrap_or(head);
    let head = match head {
        [name @ .., b'"' | b'\''] => name,
        _ => head,
    };
    let letters = head.iter().rev().take(LONGEST + 1);
    let count = letters
        .take_while(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
        .count();
    let start = head.len() - count;
    let word = &head[start..];
    let letter = usize::from(word.first()?.to_ascii_lowercase().wrapping_sub(b'a'));
    let names = ALL.get(*STARTS.get(letter)?..*STARTS.get(letter + 1)?)?;
    let name = names.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(word))?;
    Some((start, name))
}

/// Where a key begins whose last word begins at `start`; nothing before `from` may belong to it.
fn key(text: &[u8], from: usize, start: usize, name: &'static str) -> Option<(usize, &'static str)> {
    for (first, second, both) in DOUBLE {
        let begin = start.checked_sub(first.len() + 1).filter(|_| name == second);
        let word = begin.and_then(|begin| text.get(begin..start));
        if word.is_some_and(|word| word.ends_with(b" ") && word[..first.len()].eq_ignore_ascii_case(first)) {
            if let Some(begin) = begin.and_then(|begin| apart(text, from, begin)) {
                return Some((begin, both));
            }
        }
    }
    apart(text, from, start).map(|begin| (begin, name))
}

/// What sets a word apart that begins at `start`: where that stands.
fn apart(text: &[u8], from: usize, start: usize) -> Option<usize> {
    let Some(before) = start.checked_sub(1) else {
        return Some(0);
    };
    let sets_apart = matches!(
        text.get(before)?,
        b' ' | b'\t'..=b'\r' | b',' | b';' | b'|' | b'[' | b'(' | b'{' | b'"' | b'\''
    );
    (sets_apart && before >= from).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::xlog::compiled;
    use crate::random::Random;

    /// What a key is, in one pattern.
    const PATTERN: &str = r#"(?i)(?:^|[\s,;|\[({"'])(src_?ip|source[ _]?ip|srcip|src|source|si|ip|peer|ua|user[-_ ]?agent|agent|fu|from|caller|f|tu|to|callee|t|ru|ruri|r-uri|request-uri|uri|r|ci|call[-_]?id|cid|id|src_?port|port|sp|method|rm|m|cseq|cs|status|rs|code|proto)["']? ?[=:] ?"#;

    #[test]
    fn keys_are_those_of_the_pattern() {
        let pattern = compiled(PATTERN).unwrap();
        let by_pattern = |text: &[u8]| {
            let mut slots = pattern.create_captures();
            let mut found = Vec::new();
            let mut at = 0;
            while found.len() < MOST && at <= text.len() {
                pattern.captures(regex_automata::Input::new(text).span(at..text.len()), &mut slots);
                let (Some(whole), Some(name)) = (slots.get_match(), slots.get_group(1)) else {
                    break;
                };
                let name = String::from_utf8_lossy(&text[name.range()]).to_ascii_lowercase();
                found.push((whole.start(), name, whole.end()));
                at = whole.end();
            }
            found
        };
        let words: Vec<&str> = NAMES.iter().chain(&PASSED_OVER).copied().collect();
        let others = [
            " ",
            " ",
            "=",
            "=",
            ":",
            ": ",
            " = ",
            "\"",
            "'",
            ",",
            ";",
            "|",
            "[",
            "(",
            "{",
            "\t",
            "\n",
            "x",
            "1",
            "-",
            "_",
            ".",
            "é",
            "sip:1@h",
            "Source",
            "USER ",
            "user",
            "FROM",
            "source ",
            "10.0.0.1:5060",
            "\x0b",
            "",
        ];
        let mut random = Random(1);
        let mut next = |below: usize| random.below(below);
        let mut keys_seen = 0;
        for _ in 0..100_000 {
            let mut text = String::new();
            for _ in 0..next(14) {
                if next(2) == 0 {
                    text.push_str(words[next(words.len())]);
                    text.push_str(["=", " = ", "\": ", ""][next(4)]);
                } else {
                    text.push_str(others[next(others.len())]);
                }
            }
            let said = keys(text.as_bytes());
            let said: Vec<_> = said
                .into_iter()
                .map(|key| (key.begin, key.name.to_owned(), key.value))
                .collect();
            keys_seen += said.len();
            assert_eq!(said, by_pattern(text.as_bytes()), "{text:?}");
        }
        assert!(keys_seen > 20_000);
        let many = "ip=1 ".repeat(100);
        assert_eq!(keys(many.as_bytes()).len(), MOST);
    }
}
