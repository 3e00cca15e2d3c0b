//! Keeps of any number of findings what explains the message, decides on it, and cleans it.

use super::matcher::Finding;
use crate::sip::Span;

/// Findings kept whatever they are; of more, those of a rule that has none yet.
pub const MAX_FINDINGS: usize = 16;

/// What was found in one message.
#[derive(Debug, Default)]
pub struct Kept<'a> {
    /// In message order: the first sixteen, and behind them of each rule the first finding that can be scrubbed and the first
    /// that can't be. Repeats of one rule never hide what another one sees.
    pub findings: Vec<Finding<'a>>,
    /// Where values stand that can be scrubbed, and whose findings are not kept.
    pub more: Vec<Span>,
}

impl<'a> Kept<'a> {
    pub fn add(&mut self, finding: Finding<'a>) {
        let known = self.findings.len() >= MAX_FINDINGS
            && self
                .findings
                .iter()
                .any(|kept| kept.rule == finding.rule && kept.removable == finding.removable);
        if !known {
            self.findings.push(finding);
        } else if finding.removable {
            self.more.push(finding.span);
        }
    }

    /// Whether a rule is known to have fired within a span.
    pub fn knows(&self, rule: &str, place: Span) -> bool {
        let inside = |span: Span| place.start <= span.start && span.end <= place.end;
        self.findings
            .iter()
            .any(|found| found.rule == rule && inside(found.span))
    }
}
