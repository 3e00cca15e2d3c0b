//! A format of `xlog` as a routing script has it, and what lines say that were written with it.

use regex_automata::meta::Regex;

use super::digits;
use super::join::{Open, plain};
use super::xlog::{Told, address, captures, compiled, is_null, take, transport_of};

/// A format as `xlog` has it, made ready to read what was written with it.
#[derive(Debug)]
pub struct Format {
    /// The same pattern twice: values as short as they can be, and as long.
    short: Regex,
    long: Regex,
    fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Ip,
    Port,
    Method,
    Status,
    Transport,
    CallId,
    Cseq,
    Uri,
    /// Of these the user alone, and the whole.
    FromUser,
    ToUser,
    UriUser,
    Header(&'static str),
    Whole,
    Other,
}

/// What each of Kamailio's variables holds; others are passed over.
const VARIABLES: [(&str, Field); 44] = [
    ("si", Field::Ip),
    ("src_ip", Field::Ip),
    ("rcv(srcip)", Field::Ip),
    ("sp", Field::Port),
    ("src_port", Field::Port),
    ("rcv(srcport)", Field::Port),
    ("rm", Field::Method),
    ("rs", Field::Status),
    ("proto", Field::Transport),
    ("pr", Field::Transport),
    ("ci", Field::CallId),
    ("hdr(Call-ID)", Field::CallId),
    ("cs", Field::Cseq),
    ("ru", Field::Uri),
    ("ou", Field::Uri),
    ("rU", Field::UriUser),
    ("oU", Field::UriUser),
    ("fu", Field::Header("from")),
    ("hdr(From)", Field::Header("from")),
    ("hdr(f)", Field::Header("from")),
    ("fU", Field::FromUser),
    ("tu", Field::Header("to")),
    ("hdr(To)", Field::Header("to")),
    ("hdr(t)", Field::Header("to")),
    ("tU", Field::ToUser),
    ("ua", Field::Header("user-agent")),
    ("hdr(User-Agent)", Field::Header("user-agent")),
    ("ct", Field::Header("contact")),
    ("hdr(Contact)", Field::Header("contact")),
    ("fn", Field::Header("x-from-name")),
    ("tn", Field::Header("x-to-name")),
    ("subj", Field::Header("subject")),
    ("hdr(Subject)", Field::Header("subject")),
    ("di", Field::Header("diversion")),
    ("re", Field::Header("remote-party-id")),
    ("ai", Field::Header("p-asserted-identity")),
    ("pu", Field::Header("p-preferred-identity")),
    ("rt", Field::Header("refer-to")),
    ("hdr(Refer-To)", Field::Header("refer-to")),
    ("hdr(Authorization)", Field::Header("authorization")),
    ("mb", Field::Whole),
    ("Ri", Field::Other),
    ("Rp", Field::Other),
    ("ml", Field::Other),
];

impl Format {
    /// Reads a format. Errors say what is wrong with it.
    pub fn new(format: &str) -> Result<Self, String> {
        let format = format.trim_end_matches("\\n").trim();
        let (mut short, mut long) = ("^".to_owned(), "^".to_owned());
        let mut fields = Vec::new();
        let mut rest = format;
        while let Some(at) = rest.find('$') {
            literal(&rest[..at], &mut short, &mut long);
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix('$') {
                literal("$", &mut short, &mut long);
                rest = behind;
                continue;
            }
            let (name, behind) = variable(rest).ok_or_else(|| format!("\"${rest}\": no variable's name follows"))?;
            rest = behind;
            let field = VARIABLES
                .iter()
                .find(|(known, _)| *known == name)
                .map_or(Field::Other, |(_, field)| *field);
            let pattern = match field {
                Field::Ip => r"(\[?[0-9a-fA-F:.]{2,45}\]?|<null>)",
                Field::Port | Field::Status => r"(\d{1,5}|<null>)",
                Field::Method | Field::Transport => r"([A-Za-z0-9_-]{1,32}|<null>)",
                _ => "",
            };
            short.push_str(if pattern.is_empty() { "(.*?)" } else { pattern });
            long.push_str(if pattern.is_empty() { "(.*)" } else { pattern });
            fields.push(field);
        }
        literal(rest, &mut short, &mut long);
        if !fields.contains(&Field::Ip) {
            return Err("it names no source: $si is needed".to_owned());
        }
        short.push_str(r"\s*$");
        long.push_str(r"\s*$");
        Ok(Self {
            short: compiled(&short)?,
            long: compiled(&long)?,
            fields,
        })
    }

    /// Takes what a line says, if it was written with this format.
    pub fn read(&self, open: &mut Open, text: &[u8]) -> Option<Told> {
        let values = captures(&self.short, text)?;
        // A sender may have written what looks like the format's own words; then there is more than one way to read it.
        let other = captures(&self.long, text)?;
        let differ = |field| {
            let place = |known: &&Field| **known == field;
            let at = self.fields.iter().position(|known| place(&known));
            at.is_some_and(|at| values.get(at) != other.get(at))
        };
        if differ(Field::Ip) {
            return Some(Told::SourceUnclear);
        }
        for (field, value) in self.fields.iter().zip(&values) {
            if is_null(value) {
                continue;
            }
            match field {
                Field::Ip => open.ip = address(value)?,
                Field::Port => open.port = digits(value).unwrap_or(0).min(65535) as u16,
                Field::Method => open.method = value.to_ascii_uppercase(),
                Field::Status | Field::Other => {}
                Field::Transport => {
                    open.transport = transport_of(&String::from_utf8_lossy(value));
                }
                Field::CallId => take(open, "call-id", value),
                Field::Cseq => open.cseq = digits(value).map(|_| value.to_vec()).unwrap_or_default(),
                Field::Uri => take(open, "uri", value),
                Field::UriUser => take(open, "uri", &user(value)),
                Field::FromUser => take(open, "from", &[b"<", &user(value)[..], b">"].concat()),
                Field::ToUser => take(open, "to", &[b"<", &user(value)[..], b">"].concat()),
                Field::Header(name) => take(open, name, value),
                Field::Whole => open.message = plain(value, 65_535),
            }
        }
        Some(Told::Message)
    }
}

fn user(value: &[u8]) -> Vec<u8> {
    [b"sip:", value, b"@accounted.invalid"].concat()
}

/// Text of a format, in both patterns; spaces stand for any number of them.
fn literal(text: &str, short: &mut String, long: &mut String) {
    for part in text
        .replace("\\n", " ")
        .replace("\\t", " ")
        .split_inclusive(char::is_whitespace)
    {
        let word = part.trim_end();
        let escaped = regex_syntax::escape(word);
        for pattern in [&mut *short, &mut *long] {
            pattern.push_str(&escaped);
            if word.len() < part.len() {
                pattern.push_str(r"\s+");
            }
        }
    }
}

/// A variable's name as in `VARIABLES`, and what stands behind it: `si`, `(ua)`, `hdr(From)`, `(fu{s.escape.common})`.
fn variable(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix('(') {
        let mut depth = 1;
        let end = inside.char_indices().find(|(_, c)| {
            depth += match c {
                '(' | '{' => 1,
                ')' | '}' => -1,
                _ => 0,
            };
            depth == 0
        })?;
        let (whole, behind) = (&inside[..end.0], &inside[end.0 + 1..]);
        let name = whole
            .split('{')
            .next()
            .unwrap_or_default()
            .split('[')
            .next()
            .unwrap_or_default();
        return Some((name.to_owned(), behind));
    }
    let count = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    if count == 0 {
        return None;
    }
    if let Some(inside) = text[count..].strip_prefix('(') {
        let end = inside.find(')')?;
        return Some((format!("{}({})", &text[..count], &inside[..end]), &inside[end + 1..]));
    }
    Some((text[..count].to_owned(), &text[count..]))
}
