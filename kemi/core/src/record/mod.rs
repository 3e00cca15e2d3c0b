//! The lines of the decision log, from one definition of their fields.
//!
//! A line is JSON in printable ASCII: what a sender wrote is escaped, cut, without digest secrets, and masked where
//! that is asked for. What the guard knows by itself stands before it.

mod decision;
pub mod fields;
mod findings;
pub mod fingerprint;
pub mod indicators;
pub mod json;
mod mask;
mod message;
mod plain;
mod recorder;
mod replay;
mod summary;
mod text;
pub mod throttle;
mod time;

pub use decision::{Ban, Decision, Finding};
pub use mask::Mask;
pub use message::UNKNOWN;
pub use plain::Plain;
pub use recorder::{MAX_FINDINGS, MAX_VALUE, Recorder, Settings};
pub use summary::Summary;
pub use time::Clock;
