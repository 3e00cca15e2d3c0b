//! What was decided on one message and why, as its record tells it.

use crate::detect;
use crate::geo::Place;
use crate::sip::Message;

/// One rule that fired on one part.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    pub rule: &'a str,
    pub family: &'a str,
    pub score: u32,
    pub field: &'a str,
    pub reason: &'a str,
    /// The value; empty in credentials.
    pub excerpt: &'a [u8],
}

impl<'f> From<&'f detect::Finding<'_>> for Finding<'f> {
    fn from(finding: &'f detect::Finding<'_>) -> Self {
        Self {
            rule: finding.rule,
            family: finding.family,
            score: finding.score.into(),
            field: &finding.field,
            reason: &finding.reason,
            excerpt: &finding.excerpt,
        }
    }
}

/// The ban that a message led to.
#[derive(Clone, Copy, Debug)]
pub struct Ban<'a> {
    pub source: &'a str,
    pub seconds: u64,
    pub rule: &'a str,
}

/// What was decided on one message, and why.
pub struct Decision<'a> {
    /// Seconds since the epoch.
    pub now: f64,
    /// Seconds of the clock that limits and bans go by, where that is known.
    pub steady: Option<u64>,
    pub ip: &'a str,
    pub port: u16,
    pub place: &'a Place,
    pub transport: &'a str,
    /// `allow`, `scrub`, `reject`, `drop`, or `error`.
    pub action: &'a str,
    /// The start and the process that decided; `number`, in hexadecimal, follows where there is one.
    pub id: &'a str,
    pub number: Option<u64>,
    pub reason: &'a [u8],
    /// The answer that was given, 0 for none. A reply's own stands in the message.
    pub status: u16,
    pub enforced: bool,
    pub counters: &'a [(&'a str, u64)],
    pub ban: Option<Ban<'a>>,
    pub findings: &'a [Finding<'a>],
    pub message: &'a Message<'a>,
}
