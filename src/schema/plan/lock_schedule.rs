//! The lock timeouts and pauses of the attempts, and the total budget.
//!
//! There is never a last attempt without a timeout.

use std::time::Duration;

/// How locks are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockSchedule {
    /// The longest one attempt waits for a lock.
    pub cap: Duration,
    /// How long all attempts and pauses together may take.
    pub budget: Duration,
}

impl Default for LockSchedule {
    fn default() -> Self {
        LockSchedule {
            cap: Duration::from_secs(2),
            budget: Duration::from_secs(600),
        }
    }
}

impl LockSchedule {
    /// Returns how long attempt number `attempt` (from 0) waits for one lock.
    ///
    /// Short first, so that those behind us in the queue hardly notice; every fourth attempt is longer than
    /// `deadlock_timeout`, the only way past an autovacuum on the table.
    pub fn wait(&self, attempt: usize) -> Duration {
        const RUNGS: [u64; 6] = [50, 100, 100, 200, 300, 500];
        let milliseconds = match RUNGS.get(attempt) {
            Some(rung) => *rung,
            None if attempt.is_multiple_of(4) => 1500,
            None => 500,
        };
        Duration::from_millis(milliseconds).min(self.cap)
    }

    /// Whether the budget may end before there is a second attempt worth the name.
    pub fn is_short(&self) -> bool {
        self.budget < Duration::from_secs(1)
    }

    /// Returns the pause after attempt number `attempt`: doubling to 30 s, with jitter from `random` (0 to 1).
    pub fn pause(&self, attempt: usize, random: f64) -> Duration {
        let doubled = 0.2 * f64::from(1_u32 << attempt.min(8));
        Duration::from_secs_f64(doubled.min(30.0) * (0.5 + 0.5 * random.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_under_the_cap_and_sometimes_exceed_the_deadlock_timeout() {
        let ladder = LockSchedule::default();
        let waits: Vec<u128> = (0..12)
            .map(|attempt| ladder.wait(attempt).as_millis())
            .collect();
        assert_eq!(
            waits,
            [50, 100, 100, 200, 300, 500, 500, 500, 1500, 500, 500, 500]
        );
        let small = LockSchedule {
            cap: Duration::from_millis(80),
            ..ladder
        };
        assert!((0..50).all(|attempt| small.wait(attempt) <= small.cap));
    }

    #[test]
    fn pauses_grow_and_end_at_half_a_minute() {
        let ladder = LockSchedule::default();
        assert_eq!(ladder.pause(0, 1.0), Duration::from_millis(200));
        assert_eq!(ladder.pause(3, 0.0), Duration::from_millis(800));
        assert_eq!(ladder.pause(60, 1.0), Duration::from_secs(30));
    }
}
