//! Values that come apart by a form in which programs write: JSON, a list of parameters, a URL with a query. Marks that part one
//! single value from the next are that form's, and no shell's, so a rule about code counts where it is found in a single value.

use super::register::is_made;
use super::rule::Rule;
use super::transforms::{Stood, forms, needs_decoding};
use crate::sip::{Part, PartKind, Span, names, sdp};

/// Bytes of a value that is taken apart, single values in it, and how deep they may be nested. A longer one is read as a whole.
const MOST: usize = 2048;
const VALUES: usize = 64;
const DEPTH: usize = 16;

/// Whether a part may be one that programs wrote: what `is_made`, and a line of a session. Elsewhere no such form belongs.
pub fn may_be(part: &Part<'_>) -> bool {
    is_made(part) || part.kind == PartKind::Body
}

/// The single values of one part, made when a rule is first found in it, for the rules behind.
#[derive(Debug, Default)]
pub struct Apart {
    known: Option<Option<Vec<Vec<u8>>>>,
}

impl Apart {
    /// Whether a rule that was found in a form of a part is also in a single value of it, and what that costs: bytes on which its
    /// pattern is tried. A part that does not come apart is a single value.
    pub fn holds(&mut self, part: &Part<'_>, form: &[u8], rule: &Rule) -> (bool, usize) {
        if !may_be(part) {
            return (true, 0);
        }
        let known = self.known.get_or_insert_with(|| single(part).map(decoded));
        if let Some(values) = known {
            let costs = values.iter().map(Vec::len).sum();
            return (values.iter().any(|value| rule.is_match(value)), costs);
        }
        match of(form) {
            Some(values) => (values.iter().any(|value| rule.is_match(value)), form.len()),
            None => (true, 0),
        }
    }
}

/// The single values of a part: of a session description that is longer than what is read line by line, those of its lines.
fn single<'a>(part: &Part<'a>) -> Option<Vec<&'a [u8]>> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if part.field.header.id != names::SDP || !part.value.iter().any(is_end) {
        return of(part.value);
    }
    let mut lines = part.value.split(is_end);
    let mut values: Vec<&[u8]> = lines.next().into_iter().collect();
    values.extend(lines.filter(|line| !line.is_empty()).map(|line| {
        let name = sdp::name_of(line);
        let span = Span {
            start: if name == "line" { 0 } else { 2 },
            end: line.len(),
        };
        sdp::value_of(name, span, line).of(line)
    }));
    Some(values)
}

/// The values, and what each may be read as besides.
fn decoded(values: Vec<&[u8]>) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(values.len());
    for value in values {
        if needs_decoding(value) {
            all.extend(forms(value, Stood::Bare).into_iter().map(std::borrow::Cow::into_owned));
        } else {
            all.push(value.to_vec());
        }
    }
    all
}

/// The single values of a text that is wholly of one of these forms; `None` for any other text.
pub fn of(text: &[u8]) -> Option<Vec<&[u8]>> {
    let text = text.trim_ascii();
    if text.len() > MOST {
        return None;
    }
    let mut values = Vec::new();
    let is_whole = match text.first()? {
        b'{' | b'[' => json(text, &mut values),
        _ => {
            url(text, &mut values) || {
                values.clear();
                list(text, &mut values)
            }
        }
    };
    (is_whole && values.len() <= VALUES).then_some(values)
}

/// Where a string in quotes ends, behind its quote; a backslash takes the byte behind it along.
fn string(text: &[u8], from: usize) -> Option<usize> {
    let quote = text[from];
    let mut at = from + 1;
    loop {
        match *text.get(at)? {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// RFC 8259, and what programs write for it: single quotes, names without quotes. Numbers and words are no values of interest.
fn json<'t>(text: &'t [u8], values: &mut Vec<&'t [u8]>) -> bool {
    // Brackets that are open, each with whether a name comes next.
    let mut open: Vec<u8> = Vec::new();
    let (mut at, mut wants) = (0, Wants::Value);
    while at < text.len() {
        let byte = text[at];
        match (byte, wants) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => at += 1,
            (b'{' | b'[', Wants::Value | Wants::FirstValue) => {
                if open.len() == DEPTH {
                    return false;
                }
                open.push(byte);
                wants = if byte == b'{' {
                    Wants::FirstName
                } else {
                    Wants::FirstValue
                };
                at += 1;
            }
            (b'}', Wants::FirstName | Wants::Next) if open.last() == Some(&b'{') => {
                open.pop();
                wants = Wants::Next;
                at += 1;
            }
            (b']', Wants::FirstValue | Wants::Next) if open.last() == Some(&b'[') => {
                open.pop();
                wants = Wants::Next;
                at += 1;
            }
            (b',', Wants::Next) if !open.is_empty() => {
                wants = if open.last() == Some(&b'{') {
                    Wants::Name
                } else {
                    Wants::Value
                };
                at += 1;
            }
            (b':', Wants::Colon) => {
                wants = Wants::Value;
                at += 1;
            }
            (b'"' | b'\'', Wants::Name | Wants::FirstName | Wants::Value | Wants::FirstValue) if !open.is_empty() => {
                let Some(end) = string(text, at) else {
                    return false;
                };
                values.push(&text[at + 1..end - 1]);
                wants = wants.behind();
                at = end;
            }
            (_, Wants::Name | Wants::FirstName | Wants::Value | Wants::FirstValue) if !open.is_empty() => {
                let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-');
                let size = text[at..].iter().take_while(|byte| of_word(byte)).count();
                if size == 0 {
                    return false;
                }
                wants = wants.behind();
                at += size;
            }
            _ => return false,
        }
    }
    open.is_empty() && wants == Wants::Next
}

/// What may stand next in JSON: behind a bracket that opens, its end too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    FirstName,
    Name,
    Colon,
    FirstValue,
    Value,
    Next,
}

impl Wants {
    /// What comes behind a word or string.
    fn behind(self) -> Self {
        match self {
            Self::Name | Self::FirstName => Self::Colon,
            _ => Self::Next,
        }
    }
}

/// `name=value` at least twice or behind a word, parted by `;`, `,`, `&` or `|`: as `10037;reason="…";source="…"`. A value is one
/// word or stands in quotes: behind a space a shell would run another.
fn list<'t>(text: &'t [u8], values: &mut Vec<&'t [u8]>) -> bool {
    let (mut at, mut pairs, mut segments) = (0, 0, 0);
    loop {
        at += spaces(text, at);
        let size = text[at..].iter().take_while(|byte| of_name(byte)).count();
        let name = &text[at..at + size];
        at += size;
        at += spaces(text, at);
        segments += 1;
        if text.get(at) == Some(&b'=') {
            if name.is_empty() {
                return false;
            }
            if !is_plain(name) {
                values.push(name);
            }
            at += 1;
            at += spaces(text, at);
            let end = match text.get(at) {
                Some(b'"' | b'\'') => match string(text, at) {
                    Some(end) => end,
                    None => return false,
                },
                _ => at + text[at..].iter().take_while(|byte| of_value(byte)).count(),
            };
            let value = &text[at..end];
            values.push(match value {
                [b'"' | b'\'', inner @ .., _] => inner,
                _ => value,
            });
            pairs += 1;
            at = end + spaces(text, end);
        } else if segments == 1 && !name.is_empty() && name[0] != b'-' {
            values.push(name);
        } else if segments == 1 || !name.is_empty() {
            // A word that has no value is a command behind a separator, whatever it is.
            return false;
        }
        match text.get(at) {
            None => return pairs > 0 && segments > 1,
            Some(b';' | b',' | b'&' | b'|') => at += 1,
            Some(_) => return false,
        }
        if at == text.len() {
            return pairs > 0 && segments > 1;
        }
    }
}

fn spaces(text: &[u8], from: usize) -> usize {
    text[from..].iter().take_while(|byte| **byte == b' ').count()
}

fn of_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-' | 0x80..)
}

/// Whether a name can only be a name: one with other bytes may be read as code once it is decoded.
fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| of_name(byte) && byte.is_ascii())
}

fn of_value(byte: &u8) -> bool {
    of_name(byte) || matches!(byte, b'/' | b':' | b'@' | b'%' | b'~' | b'=' | b'[' | b']' | b'#')
}

/// A URL without a space, whose query is made of `name=value`.
fn url<'t>(text: &'t [u8], values: &mut Vec<&'t [u8]>) -> bool {
    let scheme = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let odd = |byte: &u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'"' | b'<' | b'>' | b'`' | b'|' | b'\\' | b'^' | b'{' | b'}')
    };
    if scheme == 0 || !text[scheme..].starts_with(b"://") || text.iter().any(odd) {
        return false;
    }
    let (text, fragment) = match memchr::memchr(b'#', text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &text[..0]),
    };
    let Some(at) = memchr::memchr(b'?', text) else {
        return false;
    };
    values.extend([&text[..at], fragment]);
    text[at + 1..].split(|&byte| byte == b'&').all(|pair| {
        let size = pair.iter().take_while(|byte| of_value(byte) && **byte != b'=').count();
        if !is_plain(&pair[..size]) {
            values.push(&pair[..size]);
        }
        values.push(pair.get(size + 1..).unwrap_or_default());
        size > 0 && pair.get(size) == Some(&b'=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Option<Vec<String>> {
        let values = of(text.as_bytes())?.into_iter();
        Some(
            values
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect(),
        )
    }

    #[test]
    fn what_programs_write_comes_apart() {
        for (text, single) in [
            (
                r#"{"a":{"b":"c;d"},"e":[1,"f\"g"],"h":null}"#,
                vec!["a", "b", "c;d", "e", r#"f\"g"#, "h"],
            ),
            ("{a:'b', c: -1.5}", vec!["b"]),
            ("[{},[],{'a':1}]", vec!["a"]),
            (
                r#"10037;reason="Call ended: a|b";source="gw""#,
                vec!["10037", "Call ended: a|b", "gw"],
            ),
            ("Q.850 ;cause=16 ;text=\"Normal\"", vec!["Q.850", "16", "Normal"]),
            ("a=1;;b=2;", vec!["1", "2"]),
            ("a=1&b=x%3Bid", vec!["1", "x%3Bid"]),
            ("a=1;\u{ff04}id=2", vec!["1", "\u{ff04}id", "2"]),
            (
                "http://h/?%24%28id%29=1&a[b]=2&c.d=3",
                vec!["http://h/", "", "%24%28id%29", "1", "a[b]", "2", "3"],
            ),
            ("http://h/p;x?a=1&b=c;d#e", vec!["http://h/p;x", "e", "1", "c;d"]),
        ] {
            let single: Vec<String> = single.into_iter().map(str::to_owned).collect();
            assert_eq!(values(text), Some(single), "{text}");
        }
    }

    #[test]
    fn what_a_shell_or_a_database_would_read_does_not() {
        for text in [
            "x;reboot",
            "a=1;reboot",
            "a=1;b=2 id",
            "a=1 id;b=2",
            "reboot",
            "a=1",
            "x';id;'",
            "a='1' or 'b'='c'",
            "-a;b=1",
            "a=$(id);b=1",
            r#"{"a":1};id"#,
            r#"{"a":1"#,
            r#"{"a" "b"}"#,
            r#"{"a":"b"c"}"#,
            "{{7*7}}",
            "[a]b",
            "\"a\"",
            "http://h/?a=1&id",
            "http://h/ id?a=1",
            "http://h/p",
            "",
        ] {
            assert_eq!(values(text), None, "{text}");
        }
        let deep = "[".repeat(20) + &"]".repeat(20);
        assert_eq!(values(&deep), None);
        assert_eq!(values(&format!("[{}1]", "\"a\",".repeat(80))), None);
        assert_eq!(values(&format!("[\"{}\"]", "a".repeat(3000))), None);
    }
}
