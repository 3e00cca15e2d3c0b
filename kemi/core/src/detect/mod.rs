//! Finds which rules fire on which parts of a message.

pub mod apart;
pub mod classes;
mod command;
pub mod glob;
pub mod kept;
pub mod kinds;
mod language;
pub mod literals;
pub mod matcher;
pub mod model;
mod owners;
pub mod pattern;
pub mod prefilter;
pub mod register;
pub mod rule;
pub mod ruleset;
pub mod scrub;
pub mod set;
pub mod settled;
pub mod shape;
#[cfg(test)]
mod soundness;
mod text;
pub mod transforms;
pub mod vocabulary;
pub mod xml;

pub use kept::{Kept, MAX_FINDINGS};
pub use matcher::{Finding, Scratch, Settings, find};
pub use model::Model;
pub use rule::{Exception, RuleError, RuleSpec};
pub use ruleset::Ruleset;
