//! Reads decision records, as lines of JSON, into the columns of the analysis's events.
//!
//! Only records of today's form are read, and only where there is one way to read them. All other lines are handed back
//! as they are: the analysis reads them by rules of its own, which cost several times as much.

use super::columns::{Bits, Column};
use super::json::{Reader, Text};
use super::lines::days;

/// The most messages that one count may stand for.
const MOST: i64 = 1_000_000_000;

/// A finding's columns: rule, family, score, field, excerpt.
const OF_A_FINDING: [Kind; 5] = [Kind::Text, Kind::Text, Kind::Small, Kind::Text, Kind::Text];

/// The score of a rule that a record only names.
const OF_A_RULE: i32 = 5;

/// The columns of events.
pub struct Events {
    input: Vec<u8>,
    pub rows: usize,
    columns: Vec<Column>,
    /// Whether a row has findings, and where each row's end in the columns of findings.
    pub found: Bits,
    pub found_ends: Vec<u8>,
    pub findings: usize,
    of_findings: [Column; OF_A_FINDING.len()],
    /// Lines that are to be read otherwise.
    pub rest: Vec<u8>,
}

/// Kinds of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Small,
    Truth,
    Text,
}

/// Columns by name and kind; `findings`, which has columns of its own, is beside these.
pub const COLUMNS: [(&str, Kind); 26] = [
    ("time_us", Kind::Number),
    ("end_us", Kind::Number),
    ("input", Kind::Text),
    ("kind", Kind::Text),
    ("action", Kind::Text),
    ("enforced", Kind::Truth),
    ("messages", Kind::Number),
    ("ip", Kind::Text),
    ("port", Kind::Small),
    ("transport", Kind::Text),
    ("type", Kind::Text),
    ("method", Kind::Text),
    ("status", Kind::Small),
    ("uri", Kind::Text),
    ("from_uri", Kind::Text),
    ("to_uri", Kind::Text),
    ("call_id", Kind::Text),
    ("cseq", Kind::Text),
    ("agent", Kind::Text),
    ("authorization", Kind::Truth),
    ("bytes", Kind::Small),
    ("field", Kind::Text),
    ("excerpt", Kind::Text),
    ("indicators", Kind::Text),
    ("client", Kind::Text),
    ("home", Kind::Text),
];

/// The members of a record that are asked for.
#[derive(Default)]
struct Record<'a> {
    time: Option<i64>,
    end: Option<i64>,
    input: Option<Text<'a>>,
    kind: Option<Text<'a>>,
    action: Option<Text<'a>>,
    outcome: Option<Text<'a>>,
    count: Option<i64>,
    mode: Option<Text<'a>>,
    enforced: Option<bool>,
    ip: Option<Text<'a>>,
    port: Option<i32>,
    country: Option<Text<'a>>,
    system: Option<&'a [u8]>,
    organization: Option<Text<'a>>,
    transport: Option<Text<'a>>,
    what: Option<Text<'a>>,
    method: Option<Text<'a>>,
    code: Option<i32>,
    answer: Option<i32>,
    uri: Option<Text<'a>>,
    from: Option<Text<'a>>,
    to: Option<Text<'a>>,
    call_id: Option<Text<'a>>,
    cseq: Option<Text<'a>>,
    agent: Option<Text<'a>>,
    authorization: Option<bool>,
    bytes: Option<i32>,
    field: Option<Text<'a>>,
    excerpt: Option<Text<'a>>,
    malformed: Option<bool>,
    version: Option<i64>,
    rules: Option<Vec<Text<'a>>>,
    findings: Option<Vec<Finding<'a>>>,
    indicators: Option<&'a [u8]>,
    client: Option<Text<'a>>,
    /// Objects that were there, a bit each.
    objects: u32,
}

#[derive(Default)]
struct Finding<'a> {
    rule: Option<Text<'a>>,
    family: Option<Text<'a>>,
    score: Option<i32>,
    field: Option<Text<'a>>,
    excerpt: Option<Text<'a>>,
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
    fn read(line: &'a [u8]) -> Option<Self> {
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
    fn home(&self) -> Option<Vec<u8>> {
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

impl Events {
    /// `input`: what the records came from, where they don't say.
    pub fn new(input: &str) -> Self {
        let column = |kind| match kind {
            Kind::Number => Column::numbers(8),
            Kind::Small => Column::numbers(4),
            Kind::Truth => Column::truths(),
            Kind::Text => Column::texts(),
        };
        Self {
            input: input.as_bytes().to_vec(),
            rows: 0,
            columns: COLUMNS.iter().map(|&(_, kind)| column(kind)).collect(),
            found: Bits::default(),
            found_ends: vec![0; 4],
            findings: 0,
            of_findings: OF_A_FINDING.map(column),
            rest: Vec::new(),
        }
    }

    /// The columns in the order of `COLUMNS`, and those of findings.
    pub fn columns(&self) -> (&[Column], &[Column]) {
        (&self.columns, &self.of_findings)
    }

    /// Takes lines, whole ones.
    pub fn read(&mut self, lines: &[u8]) {
        let mut at = 0;
        while let Some(rest) = lines.get(at..).filter(|rest| !rest.is_empty()) {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            match Record::read(&rest[..end]) {
                Some(record) => self.put(&record),
                None => {
                    self.rest.extend_from_slice(&rest[..end]);
                    self.rest.push(b'\n');
                }
            }
            at += end + 1;
        }
    }

    fn put(&mut self, record: &Record<'_>) {
        let says = |what: &Option<Text<'_>>, other: &[u8]| what.as_deref().map(|what| what != other);
        let enforced = says(&record.outcome, b"unknown").or(record.enforced);
        let lower = record.transport.as_ref().map(|name| name.to_ascii_lowercase());
        let what = match (record.malformed, record.what.as_deref()) {
            (Some(true), _) => Some(&b"malformed"[..]),
            (_, Some(b"response")) => Some(&b"reply"[..]),
            (_, what) => what,
        };
        self.rows += 1;
        let mut row = Row(self.columns.iter_mut());
        row.number(record.time);
        row.number(record.end.or(record.time));
        row.text(record.input.as_deref().or(Some(&self.input)));
        row.text(record.kind.as_deref());
        row.text(record.action.as_deref());
        row.truth(enforced.or(says(&record.mode, b"observe")));
        row.number(Some(record.count.unwrap_or(1).min(MOST)));
        row.text(record.ip.as_deref());
        row.small(record.port);
        row.text(lower.as_deref());
        row.text(what);
        row.text(record.method.as_deref());
        row.small(record.code.or(record.answer));
        row.text(record.uri.as_deref());
        row.text(record.from.as_deref());
        row.text(record.to.as_deref());
        row.text(record.call_id.as_deref());
        row.text(record.cseq.as_deref());
        row.text(record.agent.as_deref());
        row.truth(record.authorization);
        row.small(record.bytes);
        row.text(record.field.as_deref());
        row.text(record.excerpt.as_deref());
        row.text(record.indicators);
        row.text(record.client.as_deref());
        row.text(record.home().as_deref());
        self.found(record);
    }

    /// A record's findings; of one that names rules alone, all of them of what it shows.
    fn found(&mut self, record: &Record<'_>) {
        let (place, shown) = (record.field.as_deref(), record.excerpt.as_deref());
        let rules = record.rules.as_deref().unwrap_or_default();
        for finding in record.findings.iter().flatten() {
            self.findings += 1;
            let mut row = Row(self.of_findings.iter_mut());
            row.text(finding.rule.as_deref());
            row.text(finding.family.as_deref());
            row.small(finding.score);
            row.text(finding.field.as_deref());
            row.text(finding.excerpt.as_deref().or(shown));
        }
        for rule in rules.iter().filter(|_| record.findings.is_none()) {
            self.findings += 1;
            let mut row = Row(self.of_findings.iter_mut());
            row.text(Some(rule));
            row.text(Some(b""));
            row.small(Some(OF_A_RULE));
            row.text(place);
            row.text(shown);
        }
        self.found.push(record.findings.is_some() || !rules.is_empty());
        self.found_ends.extend_from_slice(&(self.findings as u32).to_le_bytes());
    }
}

/// A row on its way into columns, value by value.
struct Row<'c>(std::slice::IterMut<'c, Column>);

impl Row<'_> {
    fn number(&mut self, value: Option<i64>) {
        if let Some(column) = self.0.next() {
            column.number(value);
        }
    }

    fn small(&mut self, value: Option<i32>) {
        self.number(value.map(i64::from));
    }

    fn truth(&mut self, value: Option<bool>) {
        if let Some(column) = self.0.next() {
            column.truth(value);
        }
    }

    fn text(&mut self, value: Option<&[u8]>) {
        if let Some(column) = self.0.next() {
            column.text(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = r#"{"@timestamp":"2026-11-16T10:00:00.250000Z","source":{"ip":"192.0.2.7","port":5060},"event":{"kind":"event","action":"allow"},"sipsieve":{"version":2}"#;

    fn rows(line: &str) -> usize {
        let mut events = Events::new("pcap");
        events.read(line.as_bytes());
        assert_eq!(
            events.rows == 0,
            events.rest == [line.as_bytes(), b"\n"].concat(),
            "{line}"
        );
        events.rows
    }

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

    #[test]
    fn what_is_odd_is_handed_back() {
        assert_eq!(rows(&format!("{START}}}")), 1);
        assert_eq!(rows(&format!(r#"{START},"other":[1,{{"a":null}}]}}"#)), 1);
        for member in [
            // Twice, or in another case.
            r#""sipsieve":{}"#,
            r#""Source":{}"#,
            r#""sip":{"method":"BYE","Method":"INVITE"}"#,
            r#""sip":{"method":"BYE","method":"INVITE"}"#,
            // Of the first form.
            r#""sip":{"uri":"sip:a@b"}"#,
            r#""sip":{"status":200}"#,
            r#""sip":{"cseq":1}"#,
            // No value of its kind.
            r#""sip":{"method":1}"#,
            r#""sip":{"code":2000000000000}"#,
            r#""sip":{"code":-1}"#,
            r#""sip":{"uri":{}}"#,
            r#""findings":[{"rule":null}]"#,
            r#""indicators":[{"type":"ip", "value":"x"}]"#,
            // No JSON.
            r#""x":tru"#,
            r#""x":1,"#,
        ] {
            assert_eq!(rows(&format!("{START},{member}}}")), 0, "{member}");
        }
        for line in [
            "{}",
            "[]",
            &START[..80],
            &START.replace("Z", ""),
            &START.replace("\"version\":2", ""),
        ] {
            assert_eq!(rows(line), 0, "{line}");
        }
    }
}
