//! The policy as far as single messages are judged by it, made ready; its meaning is told in `kemi/sipsieve.toml`.

use std::collections::{HashMap, HashSet};

use super::accounts::Accounts;
use super::destinations::Destinations;
use super::limits::Limits;

/// What findings of a family lead to once a message's score is high enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Reject,
    Drop,
    Scrub,
    Log,
}

/// What becomes of an INVITE without a body: `[content_length_zero] invite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodiless {
    Reject,
    /// Only of one whose To has no tag.
    RejectInitial,
    Allow,
}

/// The policy's part in a decision. Immutable; shared by all workers.
#[derive(Debug)]
pub struct Policy {
    /// `mode` is `enforce`; a network may have its own.
    pub enforce: bool,
    /// By family; `Reject` for those that are not named.
    pub actions: HashMap<String, Action>,
    pub reject_score: u32,
    pub scrub_score: u32,
    /// Rules that are logged with what they would have done, and do nothing.
    pub observed: HashSet<String>,
    pub bodiless: Bodiless,
    pub limits: Limits,
    /// What accounts are held to; empty where the policy says nothing of it.
    pub accounts: Accounts,
    /// Where calls may go; empty where the policy says nothing of it.
    pub destinations: Destinations,
    /// What is over a limit is dropped, not answered.
    pub drop_excess: bool,
    /// The answer to what is over a limit: 403 or 503.
    pub excess_status: u16,
    pub bans: bool,
    /// Seconds of a source's first, second, … ban; the last holds for all that follow.
    pub ban_steps: Vec<u64>,
    /// The longest ban on evidence that can be forged.
    pub udp_max_seconds: u64,
    /// Minutes in which a source must have shown that it is where it says, for datagrams not to ban it; 0: they always do.
    pub earned_minutes: u64,
}

impl Policy {
    pub fn action(&self, family: &str) -> Action {
        self.actions.get(family).copied().unwrap_or(Action::Reject)
    }

    pub fn is_observed(&self, rule: &str) -> bool {
        !self.observed.is_empty() && self.observed.contains(rule)
    }

    /// How long a source's `offences`-th ban lasts.
    pub fn ban_seconds(&self, offences: u64, forgeable: bool) -> u64 {
        let step = usize::try_from(offences.max(1) - 1).unwrap_or(usize::MAX);
        let seconds = self
            .ban_steps
            .get(step)
            .or(self.ban_steps.last())
            .copied()
            .unwrap_or(60);
        if forgeable {
            seconds.min(self.udp_max_seconds)
        } else {
            seconds
        }
    }
}
