//! One message, looked at: read, its structure checked, its parts held against the rules.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use crate::detect::classes::ORDINARY;
use crate::detect::{self, Finding, Kept, Model, Ruleset, Scratch};
use crate::patches::Patches;
use crate::record;
use crate::sip::{self, Defect, Message, PartKind, Span};
use crate::structure;

/// The rules and bounds by which messages are looked at. Immutable; made before Kamailio forks.
#[derive(Debug)]
pub struct Engine {
    pub ruleset: Arc<Ruleset>,
    /// Bytes of a whole message; of a longer one only the structure is looked at.
    pub max_bytes: usize,
    pub settings: detect::Settings,
    /// For what stands behind; none where the policy says nothing of it.
    pub patches: Patches,
    /// A second opinion on free text, where the policy asks for one.
    pub model: Option<Arc<Model>>,
}

/// What a look at a message has shown.
#[derive(Debug)]
pub struct Seen<'a> {
    pub message: Message<'a>,
    /// Of structure first, then of parts in message order. Of more than a record shows the weightiest first, and repeats of a
    /// rule last.
    pub findings: Vec<Finding<'a>>,
    /// Where more values stand that can be scrubbed; see `Kept`.
    pub more: Vec<Span>,
    /// A defect makes it unfit to be routed.
    pub malformed: bool,
}

impl Engine {
    /// Looks at some ordinary messages. What a look makes and keeps for later ones, the states of patterns above all, is there
    /// then: made before Kamailio forks it serves all workers, and their first messages cost what the rest do.
    pub fn warm(&self) {
        let mut scratch = Scratch::default();
        for text in ORDINARY.split("---\n") {
            self.look(text.replace('\n', "\r\n").as_bytes(), false, &mut scratch);
        }
    }

    /// Looks at one message. `unparsable` says that the server has given it up already. Takes time linear in `raw`.
    pub fn look<'a>(&'a self, raw: &'a [u8], unparsable: bool, scratch: &mut Scratch) -> Seen<'a> {
        let mut message = sip::parse(raw);
        structure::check(&mut message, self.max_bytes);
        if unparsable {
            message.defects.push(Defect {
                rule: "parse-error",
                field: Cow::Borrowed("message"),
                reason: Cow::Borrowed("the server's parser refused it"),
                excerpt: Cow::Borrowed(b""),
            });
        }
        let malformed = !message.defects.is_empty() && structure::is_malformed(&message);
        let mut findings: Vec<Finding<'a>> = message.defects.iter().map(of_structure).collect();
        let mut kept = Kept::default();
        if raw.len() <= self.max_bytes {
            kept = detect::find(&message, &self.ruleset, self.model.as_deref(), &self.settings, scratch);
            findings.append(&mut kept.findings);
            if !self.patches.is_empty() {
                findings.append(&mut self.patches.find(&message));
            }
        }
        if findings.len() > record::MAX_FINDINGS {
            weightiest_first(&mut findings);
        }
        Seen {
            message,
            findings,
            more: kept.more,
            malformed,
        }
    }
}

fn weightiest_first(findings: &mut Vec<Finding<'_>>) {
    let mut known: Vec<&str> = Vec::new();
    let mut ranked: Vec<_> = std::mem::take(findings)
        .into_iter()
        .map(|finding| {
            let repeated = known.contains(&finding.rule);
            if !repeated {
                known.push(finding.rule);
            }
            let rank = (repeated, Reverse(finding.score), finding.family == structure::FAMILY);
            (rank, finding)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    findings.extend(ranked.into_iter().map(|(_, finding)| finding));
}

/// A defect as a finding of family `structure`.
fn of_structure<'a>(defect: &Defect<'a>) -> Finding<'a> {
    Finding {
        rule: defect.rule,
        family: structure::FAMILY,
        score: structure::score(defect.rule),
        field: defect.field.clone(),
        reason: defect.reason.clone(),
        excerpt: defect.excerpt.clone(),
        span: Span::default(),
        part: PartKind::Text,
        removable: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_that_warm_it_are_ordinary_ones() {
        let engine = Engine {
            ruleset: Arc::new(Ruleset::new(Vec::new(), &[]).expect("no rules")),
            max_bytes: 65535,
            settings: detect::Settings {
                paranoia: 1,
                max_decoded_bytes: 3072,
                max_value_bytes: 1024,
                sdp: true,
                text_bodies: false,
            },
            patches: Patches::default(),
            model: None,
        };
        for text in ORDINARY.split("---\n") {
            let raw = text.replace('\n', "\r\n");
            let seen = engine.look(raw.as_bytes(), false, &mut Scratch::default());
            assert!(!seen.malformed && seen.message.headers.len() > 6, "{text}");
        }
    }
}
