//! Rules as `bench/messages.py` writes them.

use sipsieve_core::detect::RuleSpec;

fn words(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Rules of which each stands in a line, its fields separated by tabs.
pub fn read(text: &str) -> Vec<RuleSpec> {
    let rule = |line: &str| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        RuleSpec {
            id: next().to_owned(),
            family: next().to_owned(),
            pattern: next().to_owned(),
            score: next().parse().unwrap_or(5),
            tight: next().parse().unwrap_or(5),
            reason: next().to_owned(),
            parts: words(next()),
            headers: words(next()),
            paranoia: next().parse().unwrap_or(1),
            sure: next() == "high",
            as_sent: next() == "True",
            apart: next() == "True",
            made: next().parse().ok(),
        }
    };
    text.lines().map(rule).collect()
}
