//! Owns many seeds: runs them side by side, some of them twice, and adds up what they produced. A seed that fails or
//! panics does not stop the others.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Coverage, Failure, FaultPlan, Report, Violation, run_plan};

/// Every how many seeds one is run again, to see whether the same seed gives the same trace.
pub const TWICE_EVERY: u64 = 20;
/// Most failures that are kept; the campaign ends when there are more.
pub const FAILURES_MAX: usize = 32;

/// Seeds to run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Which.
    pub seeds: Range<u64>,
    /// How many side by side.
    pub threads: usize,
    /// No seed begins after this time.
    pub within: Option<Duration>,
    /// How many failures end it, at most [`FAILURES_MAX`].
    pub failures_max: usize,
}

/// What a campaign produced.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seeds in which everything held.
    pub held: u64,
    /// Seeds that ran twice, with equal traces.
    pub equal: u64,
    /// Final blocks of all runs.
    pub blocks: u64,
    /// Calls that users were told are final.
    pub acknowledged: u64,
    /// From the end of the faults to the next final block, of each run, in milliseconds, with its seed; sorted.
    pub healed_ms: Vec<(u64, u64)>,
    /// What happened, by kind.
    pub coverage: Coverage,
    /// What did not hold.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub took: Duration,
}

impl Campaign {
    /// Runs the seeds. `progress` is told how many have run, and of each failure at once.
    pub fn run(&self, progress: &(dyn Fn(u64, Option<&Failure>) + Sync)) -> Tally {
        let begun = Instant::now();
        let next = AtomicU64::new(self.seeds.start);
        let tally = Mutex::new(Tally::default());
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let is_late = self.within.is_some_and(|within| begun.elapsed() >= within);
                if seed >= self.seeds.end || is_late {
                    return;
                }
                let outcome = run_again(seed);
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                let has_failed = outcome.is_err();
                tally.add(outcome);
                let failure = tally.failures.last().filter(|_| has_failed);
                progress(tally.held + tally.failures.len() as u64, failure);
                if tally.failures.len() >= self.failures_max.min(FAILURES_MAX) {
                    next.store(self.seeds.end, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        tally.healed_ms.sort_unstable();
        tally.failures.sort_by_key(|failure| failure.seed);
        tally.took = begun.elapsed();
        tally
    }
}

impl Tally {
    fn add(&mut self, outcome: Result<(Report, bool), Failure>) {
        match outcome {
            Ok((report, is_equal)) => {
                self.held += 1;
                self.equal += u64::from(is_equal);
                self.blocks += report.height.get();
                self.acknowledged += report.acknowledged as u64;
                self.healed_ms.push((report.healed_after_us / 1_000, report.seed));
                self.coverage.add(&report.coverage);
            }
            Err(failure) => self.failures.push(failure),
        }
    }

    /// The time below which `percent` of the runs went on, in milliseconds.
    #[must_use]
    pub fn healed_percentile_ms(&self, percent: usize) -> Option<u64> {
        let last = self.healed_ms.len().checked_sub(1)?;
        self.healed_ms.get((self.healed_ms.len() * percent / 100).min(last)).map(|(ms, _)| *ms)
    }
}

/// Runs a seed, and some of them once more; whether it was one of those.
fn run_again(seed: u64) -> Result<(Report, bool), Failure> {
    let plan = FaultPlan::draw(seed);
    let report = run_plan(seed, plan)?;
    if !seed.is_multiple_of(TWICE_EVERY) {
        return Ok((report, false));
    }
    let again = run_plan(seed, plan)?;
    if again == report {
        return Ok((report, true));
    }
    let violation = Violation::Diverged { one: report.trace, other: again.trace };
    Err(Failure { seed, plan: Box::new(plan), at_us: 0, violation: Box::new(violation) })
}
