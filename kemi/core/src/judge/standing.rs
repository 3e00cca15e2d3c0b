//! Says who is banned for what it did, whom standing keeps from that, and who loses standing.

use super::counters::Counters;
use super::limits::Excess;
use super::{Ban, Decision, Judge, LISTED, Scope, accounts, destinations};
use crate::detect::{Finding, model};
use crate::sip::Message;
use crate::sources::Source;
use crate::structure;

/// What a record says where standing kept a source from being banned.
pub(super) const SPARED: &str = "; not banned: the source has standing, and datagrams can be forged";

impl Judge {
    /// Whether a source has shown that it is where it says, and has earned standing by that.
    pub fn has_earned(&self, source: &Source, now: u64, counters: &impl Counters) -> bool {
        counters.has_earned(source.key(), now)
    }

    /// Whether a limit was passed by so much that its source is to be banned, by the policy or by that of the message's domain.
    pub(super) fn bans(&self, message: &Message<'_>, source: &Source, excess: &Excess) -> bool {
        let tenant = self.policy.tenant(message);
        let factor = tenant.and_then(|tenant| tenant.ban_factor);
        let excess = factor.map_or(*excess, |factor| excess.by_factor(factor));
        excess.ban && self.policy.bans && self.enforces(source) && !tenant.is_some_and(|tenant| tenant.no_bans)
    }

    /// Somebody else may have sent datagrams, to keep a customer out: with standing it is inspected on, message by message.
    pub(super) fn is_spared(&self, source: &Source, now: u64, counters: &impl Counters) -> bool {
        Scope::of(source) == Scope::Datagrams && self.has_earned(source, now, counters)
    }

    /// The ban that follows where a limit was passed by so much, if any.
    pub(super) fn ban(
        &self,
        message: &Message<'_>,
        source: &Source,
        excess: &Excess,
        now: u64,
        counters: &impl Counters,
    ) -> Option<Ban> {
        if !self.bans(message, source, excess) {
            return None;
        }
        let scope = excess.scope;
        if !scope.is_forgeable() {
            if self.policy.lost_by.ban {
                counters.disgraced(source.key(), excess.rule());
            }
        } else if scope == Scope::Datagrams && self.has_earned(source, now, counters) {
            return None;
        }
        let offences = counters.offence(source.key(), scope);
        (offences > 0).then(|| Ban {
            key: source.key().to_owned(),
            seconds: self
                .policy
                .ban_seconds(offences, scope.is_forgeable(), self.policy.tenant(message)),
            rule: excess.rule(),
            offences,
            scope,
            reason: excess.reason(),
        })
    }

    /// Takes standing away for what the policy names, where nobody else can have sent it.
    pub(super) fn disgrace(&self, decision: &Decision<'_>, source: &Source, counters: &impl Counters) {
        let lost_by = self.policy.lost_by;
        let is_told = decision.verdict.ends() && decision.enforced && Scope::of(source) == Scope::All;
        if !is_told || !(lost_by.attack || lost_by.account || lost_by.destination) {
            return;
        }
        let tells = |finding: &&Finding<'_>| match finding.family {
            accounts::FAMILY => lost_by.account,
            destinations::FAMILY => lost_by.destination,
            // What is only odd, too much or on a list is no attack.
            structure::FAMILY | "limits" | "content_length_zero" | LISTED | model::FAMILY => false,
            _ => lost_by.attack && finding.score > 0,
        };
        if let Some(finding) = decision.findings.iter().find(tells) {
            counters.disgraced(source.key(), finding.rule);
        }
    }
}
