//! Weighs findings against the policy: allow, scrub, reject or drop.

use super::policy::{Action, Policy};
use super::{Answer, Verdict};
use crate::detect::{Finding, model};
use crate::sip::Kind;
use crate::structure;

/// A verdict with its answer and the finding that weighs most.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Weighed {
    pub verdict: Verdict,
    pub answer: Answer,
    pub reason: String,
}

fn counts(policy: &Policy, finding: &Finding<'_>) -> bool {
    finding.score > 0 && policy.action(finding.family) != Action::Log
}

/// The findings whose scores add up, by their place.
///
/// One value is one piece of evidence, however many rules fire on it and in however many headers a caller's name stands; the
/// surest speaks for it. Defects are each a fact of their own.
pub fn counted(policy: &Policy, findings: &[Finding<'_>]) -> Vec<usize> {
    let own = |finding: &Finding<'_>| finding.family == structure::FAMILY || finding.excerpt.is_empty();
    let mut counted: Vec<usize> = Vec::with_capacity(findings.len().min(32));
    for (place, finding) in findings.iter().enumerate() {
        if !counts(policy, finding) {
            continue;
        }
        // There are as many of these as rules and values at the most, some dozens.
        let same = counted.iter().position(|&known| {
            let known = &findings[known];
            match (own(finding), own(known)) {
                (true, true) => known.rule == finding.rule,
                (false, false) => known.excerpt == finding.excerpt,
                _ => false,
            }
        });
        match same {
            None => counted.push(place),
            Some(at) if findings[counted[at]].score < finding.score => counted[at] = place,
            Some(_) => {}
        }
    }
    counted
}

/// The verdict on one message's findings that `heeds` lets count.
///
/// Scores add up over values and defects. A family whose action is `log` weighs nothing. Replies are never dropped or answered:
/// they are scrubbed where that is possible, and passed where not, because the callee has answered already (RFC 3261 13.3.1.4).
pub fn weigh(policy: &Policy, kind: Kind, findings: &[Finding<'_>]) -> Weighed {
    let counted: Vec<&Finding<'_>> = counted(policy, findings).into_iter().map(|at| &findings[at]).collect();
    let score: u32 = counted.iter().map(|finding| u32::from(finding.score)).sum();
    // Of equals an attack says more than the damage that it did to the message; and of those the first.
    let weight = |finding: &Finding<'_>| (finding.score, finding.family != structure::FAMILY);
    let worst = (counted.iter().copied()).reduce(|worst, next| if weight(next) > weight(worst) { next } else { worst });
    let Some(worst) = worst.filter(|_| score >= policy.scrub_score) else {
        return Weighed::default();
    };
    let of = |verdict, answer| Weighed {
        verdict,
        answer,
        reason: format!("{}: {}", worst.field, worst.reason),
    };
    if kind == Kind::Reply {
        // What speaks for a value may stand where nothing can be taken out, and the value elsewhere too.
        let able = findings
            .iter()
            .any(|finding| finding.removable && counts(policy, finding));
        return of(if able { Verdict::Scrub } else { Verdict::Allow }, Answer::NONE);
    }
    let mut action = policy.action(worst.family);
    // A second opinion refuses nothing by itself, of however many values, and one that is unsure tips nothing either.
    let alone = !findings
        .iter()
        .any(|finding| finding.family != model::FAMILY && counts(policy, finding));
    let against: u32 = counted
        .iter()
        .filter(|finding| finding.family != model::FAMILY || finding.score > model::UNSURE)
        .map(|finding| u32::from(finding.score))
        .sum();
    let spared = against < policy.reject_score || alone;
    if spared {
        action = Action::Scrub;
    }
    if action == Action::Scrub {
        // What is refused but for the policy's wish to scrub must be rid of all of it; else what can be taken out is.
        let able = if spared {
            counted.iter().any(|finding| finding.removable)
        } else {
            counted.iter().all(|finding| finding.removable)
        };
        if able {
            return of(Verdict::Scrub, Answer::NONE);
        }
        if spared {
            return of(Verdict::Allow, Answer::NONE);
        }
    }
    if action == Action::Drop {
        return of(Verdict::Drop, Answer::NONE);
    }
    // The phrase says what to mend, not what was seen: no need to teach an attacker.
    let answer = match worst.rule {
        "version" => Answer::new(505, "Version Not Supported"),
        "oversize" => Answer::new(413, "Request Entity Too Large"),
        _ if worst.family == structure::FAMILY => Answer::new(400, "Bad Request"),
        _ => Answer::FORBIDDEN,
    };
    of(Verdict::Reject, answer)
}
