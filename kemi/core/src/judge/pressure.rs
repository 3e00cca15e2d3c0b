//! Says how much of its time one process spends on suspicious messages of strangers, and what is left undone for that.

/// What becomes of a suspicious message of a source that has shown nothing: each step leaves more undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A record of its own, and the answer of the verdict.
    #[default]
    Full,
    /// Only counted.
    Folded,
    /// Only counted, and refused without an answer.
    Silent,
    /// What starts something is not even looked at; see `Judge::unproven`.
    Unproven,
}

/// Shares of a second, in per cent, from which on a step holds; 0: never.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    pub fold: u8,
    pub silent: u8,
    pub unproven: u8,
    /// Messages of strangers in a second from which on the last step holds; 0: any number.
    pub strangers: u32,
}

/// One process's time, by the second.
#[derive(Debug, Default)]
pub struct Pressure {
    /// Of a clock that never steps.
    second: u64,
    /// Seconds spent in that one, and in the one before it.
    spent: f64,
    before: f64,
    /// Messages of strangers in that second, and in the one before it.
    met: u32,
    met_before: u32,
}

/// The longest that one message is taken for: whoever stops a process, or sets its clock, does not make it shed.
const MOST: f64 = 0.02;

impl Pressure {
    /// Adds what a message took, in seconds.
    pub fn spend(&mut self, second: u64, seconds: f64) {
        self.turn(second);
        self.spent += seconds.clamp(0.0, MOST);
    }

    /// Counts a message of a stranger.
    pub fn meet(&mut self, second: u64) {
        self.turn(second);
        self.met = self.met.saturating_add(1);
    }

    /// What holds now. It goes up within a second, and down with the first quiet one.
    pub fn step(&mut self, second: u64, thresholds: Thresholds) -> Step {
        self.turn(second);
        let share = self.spent.max(self.before) * 100.0;
        let over = |percent: u8| percent > 0 && share >= f64::from(percent);
        let crowded = thresholds.strangers > 0 && self.met.max(self.met_before) > thresholds.strangers;
        if crowded || over(thresholds.unproven) {
            Step::Unproven
        } else if over(thresholds.silent) {
            Step::Silent
        } else if over(thresholds.fold) {
            Step::Folded
        } else {
            Step::Full
        }
    }

    fn turn(&mut self, second: u64) {
        if second != self.second {
            let follows = second == self.second + 1;
            self.before = if follows { self.spent } else { 0.0 };
            self.met_before = if follows { self.met } else { 0 };
            (self.spent, self.met) = (0.0, 0);
            self.second = second;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const AT: Thresholds = Thresholds {
        fold: 25,
        silent: 50,
        unproven: 80,
        strangers: 0,
    };

    #[test]
    fn steps_follow_the_share_and_end_with_it() {
        let mut pressure = Pressure::default();
        assert_eq!(pressure.step(7, AT), Step::Full);
        (0..30).for_each(|_| pressure.spend(7, 0.01));
        assert_eq!(pressure.step(7, AT), Step::Folded);
        (0..30).for_each(|_| pressure.spend(7, 0.01));
        assert_eq!(pressure.step(7, AT), Step::Silent);
        // What is left undone makes the next second cheaper, which is no reason to do it again.
        (0..30).for_each(|_| pressure.spend(8, 0.001));
        assert_eq!(pressure.step(8, AT), Step::Silent);
        (0..60).for_each(|_| pressure.spend(8, 0.01));
        assert_eq!(pressure.step(8, AT), Step::Silent);
        (0..20).for_each(|_| pressure.spend(8, 0.01));
        assert_eq!(pressure.step(8, AT), Step::Unproven);
        assert_eq!(pressure.step(9, AT), Step::Unproven);
        assert_eq!(pressure.step(10, AT), Step::Full);
        (0..60).for_each(|_| pressure.spend(10, 0.01));
        assert_eq!(pressure.step(12, AT), Step::Full);
    }

    const NEVER: Thresholds = Thresholds {
        fold: 0,
        silent: 0,
        unproven: 0,
        strangers: 0,
    };

    #[test]
    fn too_many_strangers_are_turned_away_until_a_second_with_fewer() {
        let at = Thresholds { strangers: 10, ..NEVER };
        let mut pressure = Pressure::default();
        (0..10).for_each(|_| pressure.meet(7));
        assert_eq!(
            (pressure.step(7, at), pressure.step(7, NEVER)),
            (Step::Full, Step::Full)
        );
        pressure.meet(7);
        assert_eq!(
            [7, 8, 9].map(|second| pressure.step(second, at)),
            [Step::Unproven, Step::Unproven, Step::Full]
        );
    }

    #[test]
    fn a_clock_that_is_set_and_a_threshold_of_zero_shed_nothing() {
        let mut pressure = Pressure::default();
        pressure.spend(7, 3600.0);
        pressure.spend(7, -3600.0);
        assert_eq!(pressure.step(7, AT), Step::Full);
        (0..100).for_each(|_| pressure.spend(7, 0.01));
        assert_eq!(pressure.step(7, NEVER), Step::Full);
    }
}
