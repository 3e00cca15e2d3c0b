//! Fills the columns of the analysis's events from decision records.
//!
//! Lines that `record` does not read are handed back as they are: the analysis reads them by rules of its own, which cost
//! several times as much.

use super::columns::{Bits, Column};
use super::json::Text;
use super::record::Record;
use crate::record::Plain;
use crate::sip;

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

    /// Makes room for so many more rows.
    pub fn reserve(&mut self, rows: usize) {
        for column in &mut self.columns {
            column.reserve(rows);
        }
    }

    /// Takes lines, whole ones.
    pub fn read(&mut self, lines: &[u8]) {
        self.reserve(memchr::memchr_iter(b'\n', lines).count());
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

    /// Takes what a record holds, as if it had been written and read.
    pub fn take(&mut self, plain: &Plain<'_>) {
        let source = Some(plain.ip.as_bytes()).filter(|ip| !ip.is_empty());
        let what: Option<&[u8]> = match plain.kind {
            sip::Kind::Request => Some(b"request"),
            sip::Kind::Reply => Some(b"reply"),
            sip::Kind::Malformed => Some(b"malformed"),
        };
        let mut digits = [0; 20];
        self.rows += 1;
        let mut row = Row(self.columns.iter_mut());
        row.number(Some(plain.time));
        row.number(Some(plain.time));
        row.text(Some(&self.input));
        row.text(Some(b"event"));
        row.text(Some(plain.action.as_bytes()));
        row.truth(Some(plain.enforced));
        row.number(Some(1));
        row.text(source);
        row.small(source.map(|_| plain.port.into()));
        row.text(Some(plain.transport.as_bytes()));
        row.text(what);
        row.text(Some(plain.method));
        row.small(Some(i32::from(plain.status)).filter(|status| *status > 0));
        row.text(plain.uri);
        row.text(plain.from);
        row.text(plain.to);
        row.text(plain.call_id);
        row.text(plain.cseq.map(|number| decimal(number, &mut digits)));
        row.text(plain.agent);
        row.truth(Some(true).filter(|_| plain.authorization));
        row.small(plain.bytes.and_then(|bytes| i32::try_from(bytes).ok()));
        row.text(plain.worst.map(|finding| finding.field.as_bytes()));
        row.text(plain.worst.map(|finding| finding.excerpt));
        row.text(None);
        row.text(plain.client.as_ref().map(|client| &client[..]));
        row.text(None);
        for finding in plain.findings {
            self.findings += 1;
            let mut row = Row(self.of_findings.iter_mut());
            row.text(Some(finding.rule.as_bytes()));
            row.text(Some(finding.family.as_bytes()));
            row.small(i32::try_from(finding.score).ok());
            row.text(Some(finding.field.as_bytes()));
            row.text(Some(finding.excerpt));
        }
        self.end_found(!plain.findings.is_empty());
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
        self.end_found(record.findings.is_some() || !rules.is_empty());
    }

    fn end_found(&mut self, is_there: bool) {
        self.found.push(is_there);
        self.found_ends.extend_from_slice(&(self.findings as u32).to_le_bytes());
    }
}

/// A number as text.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
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
