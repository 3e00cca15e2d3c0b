//! Reads a decision record, a line of JSON, where it is of today's form and there is one way to read it.

use super::json::{Reader, Text};
use super::lines::days;

/// The members of a record that are asked for.
#[derive(Default)]
pub(super) struct Record<'a> {
    pub time: Option<i64>,
    pub end: Option<i64>,
    pub input: Option<Text<'a>>,
    pub kind: Option<Text<'a>>,
    pub action: Option<Text<'a>>,
    pub outcome: Option<Text<'a>>,
    pub count: Option<i64>,
    pub mode: Option<Text<'a>>,
    pub enforced: Option<bool>,
    pub ip: Option<Text<'a>>,
    pub port: Option<i32>,
    pub country: Option<Text<'a>>,
    pub system: Option<&'a [u8]>,
    pub organization: Option<Text<'a>>,
    pub transport: Option<Text<'a>>,
    pub what: Option<Text<'a>>,
    pub method: Option<Text<'a>>,
    pub code: Option<i32>,
    pub answer: Option<i32>,
    pub uri: Option<Text<'a>>,
    pub from: Option<Text<'a>>,
    pub to: Option<Text<'a>>,
    pub call_id: Option<Text<'a>>,
    pub cseq: Option<Text<'a>>,
    pub agent: Option<Text<'a>>,
    pub authorization: Option<bool>,
    pub bytes: Option<i32>,
    pub field: Option<Text<'a>>,
    pub excerpt: Option<Text<'a>>,
    pub malformed: Option<bool>,
    pub version: Option<i64>,
    pub rules: Option<Vec<Text<'a>>>,
    pub findings: Option<Vec<Finding<'a>>>,
    pub indicators: Option<&'a [u8]>,
    pub client: Option<Text<'a>>,
    /// Objects that were there, a bit each.
    objects: u32,
}

#[derive(Default)]
pub(super) struct Finding<'a> {
    pub rule: Option<Text<'a>>,
    pub family: Option<Text<'a>>,
    pub score: Option<i32>,
    pub field: Option<Text<'a>>,
    pub excerpt: Option<Text<'a>>,
}

/// Keeps a value where none is kept yet: what of two members of one name counts, readers differ about.
fn once<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    place.replace(value?).is_none().then_some(())
}

/// A member that nobody asked for; one whose name differs from one of these in case alone is read in several ways.
fn other(reader: &mut Reader<'_>, name: &[u8], known: &[&str]) -> Option<()> {
    if known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
        return None;
    }
    reader.any().map(|_| ())
}

/// `{"original":"…"}` (ECS), which must be there.
fn original<'a>(reader: &mut Reader<'a>) -> Option<Text<'a>> {
    let mut found = None;
    reader.object(|reader, name| match name {
        b"original" => once(&mut found, reader.string()),
        _ => other(reader, name, &["original"]),
    })?;
    found
}

/// `{"uri":{"original":"…"}}`
fn address<'a>(reader: &mut Reader<'a>) -> Option<Text<'a>> {
    let mut found = None;
    reader.object(|reader, name| match name {
        b"uri" => once(&mut found, original(reader)),
        _ => other(reader, name, &["uri"]),
    })?;
    found
}

/// `{"code":1}`, the number as text.
fn sequence<'a>(reader: &mut Reader<'a>) -> Option<Text<'a>> {
    let mut found = None;
    reader.object(|reader, name| match name {
        b"code" => once(&mut found, reader.digits().map(Text::Borrowed)),
        _ => other(reader, name, &["code"]),
    })?;
    found
}

/// `2026-11-16T10:00:00.000000Z` in microseconds since the epoch.
fn time(text: &[u8]) -> Option<i64> {
    let shape = |(place, &byte): (usize, &u8)| match place {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'.',
        26 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 27 || !text.iter().enumerate().all(shape) {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).unwrap_or_default();
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let begin = days(year, month, day)?;
    // A day that the month does not have is one of the next.
    let next = days(year + month / 12, month % 12 + 1, 1)?;
    if begin >= next || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((begin * 86400 + hour * 3600 + minute * 60 + second) * 1_000_000 + number(20, 26))
}

fn timed(reader: &mut Reader<'_>) -> Option<i64> {
    time(&reader.string()?)
}

/// A record's members that are read.
const TOP: [&str; 11] = [
    "@timestamp",
    "source",
    "network",
    "event",
    "policy",
    "rule",
    "sip",
    "user_agent",
    "findings",
    "indicators",
    "sipsieve",
];

impl<'a> Record<'a> {
    /// A record of today's form; `None` where there is anything odd about it.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let mut record = Self::default();
        let mut reader = Reader::new(line)?;
        reader.object(|reader, name| record.member(reader, name))?;
        let is_one = reader.ends() && record.time.is_some() && record.kind.is_some() && record.action.is_some();
        (is_one && record.version.is_some()).then_some(record)
    }

    /// Notes that an object of this number is there; `None` where it is there twice.
    fn enter(&mut self, number: usize) -> Option<()> {
        let before = self.objects;
        self.objects |= 1 << number;
        (before != self.objects).then_some(())
    }

    /// Where the source's address is at home: `NL, AS64500 Example Networks`, as far as it is known.
    pub fn home(&self) -> Option<Vec<u8>> {
        let system = self.system.map(|number| match self.organization.as_deref() {
            Some(name) => [b"AS", number, b" ", name].concat(),
            None => [b"AS", number].concat(),
        });
        match (self.country.as_deref(), system) {
            (None, None) | (Some(b""), None) => None,
            (Some(country), None) => Some(country.to_vec()),
            (None, system) => system,
            (Some(country), Some(system)) => Some([country, b", ", &system].concat()),
        }
    }

    fn member(&mut self, reader: &mut Reader<'a>, name: &'a [u8]) -> Option<()> {
        if let Some(number) = TOP.iter().position(|known| known.as_bytes() == name) {
            self.enter(number)?;
        }
        match name {
            b"@timestamp" => once(&mut self.time, timed(reader)),
            b"source" => reader.object(|reader, name| self.source(reader, name)),
            b"network" => reader.object(|reader, name| match name {
                b"transport" => once(&mut self.transport, reader.string().filter(|text| text.is_ascii())),
                _ => other(reader, name, &["transport"]),
            }),
            b"event" => reader.object(|reader, name| match name {
                b"kind" => once(&mut self.kind, reader.string()),
                b"action" => once(&mut self.action, reader.string()),
                b"outcome" => once(&mut self.outcome, reader.string()),
                b"count" => once(&mut self.count, reader.integer()),
                b"end" => once(&mut self.end, timed(reader)),
                _ => other(reader, name, &["kind", "action", "outcome", "count", "end"]),
            }),
            b"policy" => reader.object(|reader, name| match name {
                b"mode" => once(&mut self.mode, reader.string()),
                b"enforced" => once(&mut self.enforced, reader.boolean()),
                _ => other(reader, name, &["mode", "enforced"]),
            }),
            b"rule" => reader.object(|reader, name| match name {
                b"id" => {
                    let mut rules = Vec::new();
                    reader.array(|reader| reader.string().map(|rule| rules.push(rule)))?;
                    once(&mut self.rules, Some(rules))
                }
                _ => other(reader, name, &["id"]),
            }),
            b"sip" => reader.object(|reader, name| self.sip(reader, name)),
            b"user_agent" => reader.object(|reader, name| match name {
                b"original" => once(&mut self.agent, reader.string()),
                _ => other(reader, name, &["original"]),
            }),
            b"findings" => {
                let mut findings = Vec::new();
                reader.array(|reader| Finding::read(reader).map(|finding| findings.push(finding)))?;
                once(&mut self.findings, Some(findings))
            }
            b"indicators" => {
                let (text, holds) = reader.any()?;
                once(&mut self.indicators, (!holds.many_ways).then_some(text))
            }
            b"sipsieve" => reader.object(|reader, name| self.ours(reader, name)),
            _ => other(reader, name, &TOP),
        }
    }

    fn source(&mut self, reader: &mut Reader<'a>, name: &'a [u8]) -> Option<()> {
        match name {
            b"ip" => once(&mut self.ip, reader.string()),
            b"port" => once(&mut self.port, reader.small()),
            b"geo" => {
                self.enter(TOP.len())?;
                reader.object(|reader, name| match name {
                    b"country_iso_code" => once(&mut self.country, reader.string()),
                    _ => other(reader, name, &["country_iso_code"]),
                })
            }
            b"as" => {
                self.enter(TOP.len() + 1)?;
                reader.object(|reader, name| self.network(reader, name))
            }
            _ => other(reader, name, &["ip", "port", "geo", "as"]),
        }
    }

    fn network(&mut self, reader: &mut Reader<'a>, name: &'a [u8]) -> Option<()> {
        match name {
            b"number" => once(&mut self.system, reader.digits()),
            b"organization" => {
                self.enter(TOP.len() + 2)?;
                reader.object(|reader, name| match name {
                    b"name" => once(&mut self.organization, reader.string()),
                    _ => other(reader, name, &["name"]),
                })
            }
            _ => other(reader, name, &["number", "organization"]),
        }
    }

    fn sip(&mut self, reader: &mut Reader<'a>, name: &'a [u8]) -> Option<()> {
        match name {
            b"type" => once(&mut self.what, reader.string()),
            b"method" => once(&mut self.method, reader.string()),
            b"code" => once(&mut self.code, reader.small()),
            b"uri" => once(&mut self.uri, original(reader)),
            b"from" => once(&mut self.from, address(reader)),
            b"to" => once(&mut self.to, address(reader)),
            b"call_id" => once(&mut self.call_id, reader.string()),
            b"cseq" => once(&mut self.cseq, sequence(reader)),
            // The others are of the first form.
            _ => other(
                reader,
                name,
                &[
                    "type",
                    "method",
                    "code",
                    "uri",
                    "from",
                    "to",
                    "call_id",
                    "cseq",
                    "status",
                    "bytes",
                    "field",
                    "excerpt",
                    "authorization",
                    "client",
                ],
            ),
        }
    }

    fn ours(&mut self, reader: &mut Reader<'a>, name: &'a [u8]) -> Option<()> {
        match name {
            b"version" => once(&mut self.version, reader.integer()),
            b"input" => once(&mut self.input, reader.string()),
            b"answer" => once(&mut self.answer, reader.small()),
            b"malformed" => once(&mut self.malformed, reader.boolean()),
            b"bytes" => once(&mut self.bytes, reader.small()),
            b"field" => once(&mut self.field, reader.string()),
            b"excerpt" => once(&mut self.excerpt, reader.string()),
            b"authorization" => once(&mut self.authorization, reader.boolean()),
            b"client" => once(&mut self.client, reader.string()),
            _ => other(
                reader,
                name,
                &[
                    "version",
                    "input",
                    "answer",
                    "malformed",
                    "bytes",
                    "field",
                    "excerpt",
                    "authorization",
                    "client",
                ],
            ),
        }
    }
}

impl<'a> Finding<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut finding = Self::default();
        reader.object(|reader, name| match name {
            b"rule" => once(&mut finding.rule, reader.string()),
            b"family" => once(&mut finding.family, reader.string()),
            b"score" => once(&mut finding.score, reader.small()),
            b"field" => once(&mut finding.field, reader.string()),
            b"excerpt" => once(&mut finding.excerpt, reader.string()),
            _ => other(reader, name, &["rule", "family", "score", "field", "excerpt"]),
        })?;
        Some(finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_where_there_is_such_a_day() {
        assert_eq!(time(b"1970-01-02T00:00:01.000005Z"), Some(86_401_000_005));
        assert_eq!(time(b"2024-02-29T00:00:00.000000Z"), Some(1_709_164_800_000_000));
        assert_eq!(time(b"2025-12-31T23:59:59.999999Z"), Some(1_767_225_599_999_999));
        for text in [
            "2025-02-29T00:00:00.000000Z",
            "2026-04-31T00:00:00.000000Z",
            "2026-13-01T00:00:00.000000Z",
            "2026-01-01T24:00:00.000000Z",
            "2026-01-01T00:00:60.000000Z",
            "2026-01-01T00:00:00.000000",
            "2026-01-01T00:00:00.000Z",
            "2026-01-01 00:00:00.000000Z",
            "1969-01-01T00:00:00.000000Z",
        ] {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
    }
}
