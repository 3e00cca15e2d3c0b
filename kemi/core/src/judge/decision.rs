//! What a decision on a message says: the verdict, the answer, the ban that follows, and why.

use super::limits::Counts;
use crate::detect::Finding;
use crate::sources::Source;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    #[default]
    Allow,
    Scrub,
    Reject,
    Drop,
}

/// Names of the verdicts, in their order.
pub const VERDICTS: [&str; 4] = ["allow", "scrub", "reject", "drop"];

impl Verdict {
    pub fn name(self) -> &'static str {
        VERDICTS[self as usize]
    }

    /// Whether the message ends here.
    pub fn ends(self) -> bool {
        matches!(self, Verdict::Reject | Verdict::Drop)
    }
}

/// The answer of a reject: status and reason phrase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0: none is given.
    pub status: u16,
    pub phrase: &'static str,
    /// Seconds after which to try again; 0: nothing is said of that.
    pub retry_after: u64,
}

impl Answer {
    pub const NONE: Answer = Answer::new(0, "");
    pub const FORBIDDEN: Answer = Answer::new(403, "Forbidden");

    pub const fn new(status: u16, phrase: &'static str) -> Self {
        Self {
            status,
            phrase,
            retry_after: 0,
        }
    }
}

/// What a ban shuts out: never more than the evidence can have come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Anybody can send datagrams in another's name.
    Datagrams,
    /// Any web page can open a WebSocket in its visitor's name.
    WebSockets,
}

impl Scope {
    /// As it stands in the table of bans, and at the end of a counter's cell.
    pub fn letter(self) -> &'static str {
        match self {
            Scope::All => "a",
            Scope::Datagrams => "u",
            Scope::WebSockets => "w",
        }
    }

    /// What a source's messages can tell against.
    pub fn of(source: &Source) -> Scope {
        match source.cell().as_bytes().last() {
            Some(b'u') => Scope::Datagrams,
            Some(b'w') => Scope::WebSockets,
            _ => Scope::All,
        }
    }

    /// Whether somebody else may have sent what a ban rests on.
    pub fn is_forgeable(self) -> bool {
        self != Scope::All
    }
}

/// A source to be shut out, for the `offences`-th time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    pub key: String,
    pub seconds: u64,
    pub rule: &'static str,
    pub offences: u64,
    pub scope: Scope,
    pub reason: String,
}

/// What to do with one message, and all that the log needs to say why.
#[derive(Debug)]
pub struct Decision<'a> {
    /// Carried out where `enforced` is true; otherwise it is what would have been done.
    pub verdict: Verdict,
    pub enforced: bool,
    pub answer: Answer,
    pub reason: String,
    pub findings: Vec<Finding<'a>>,
    pub counts: Counts,
    pub ban: Option<Ban>,
    /// The new bytes of a scrub.
    pub replacement: Option<Vec<u8>>,
}
