//! Owns found seeds: a seed with the faults that it needs, as a file that is run again for ever, and making it smaller.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use super::{FaultPlan, PlanError, Report, report::Failure, run_plan};

/// Largest file that is read.
const FILE_LEN_MAX: u64 = 16 * 1024;

/// A seed that found something once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundSeed {
    /// The seed.
    pub seed: u64,
    /// What it found.
    pub found: String,
    /// The faults that it needs.
    pub plan: FaultPlan,
}

/// Why a file is no found seed.
#[derive(Debug, thiserror::Error)]
pub enum SeedFileError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too long.
    #[error("{path} has more than {FILE_LEN_MAX} bytes, so it is no seed file")]
    TooLong {
        /// Which.
        path: String,
    },
    /// The file says something else.
    #[error("{path} is no seed file: {source}")]
    Malformed {
        /// Which.
        path: String,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// Its faults cannot be simulated.
    #[error("{path} cannot be run: {source}")]
    Unsound {
        /// Which.
        path: String,
        /// Why.
        source: PlanError,
    },
}

impl FoundSeed {
    /// Reads a seed file.
    ///
    /// # Errors
    /// The file cannot be read, is none, or asks for more than can be simulated.
    pub fn read(path: &Path) -> Result<Self, SeedFileError> {
        let shown = || path.display().to_string();
        let unreadable = |source| SeedFileError::Unreadable { path: shown(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_LEN_MAX {
            return Err(SeedFileError::TooLong { path: shown() });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let malformed = |source| SeedFileError::Malformed { path: shown(), source: Box::new(source) };
        let found: Self = toml::from_str(&text).map_err(malformed)?;
        found.plan.check().map_err(|source| SeedFileError::Unsound { path: shown(), source })?;
        Ok(found)
    }

    /// Runs it.
    ///
    /// # Errors
    /// What it found is there again, or something else is.
    pub fn run(&self) -> Result<Report, Failure> {
        run_plan(self.seed, self.plan)
    }
}

/// As a file.
impl fmt::Display for FoundSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// Takes one fault after the other out of a failing run for as long as it still fails in the same way. Nothing when it
/// does not fail.
#[must_use]
pub fn minimised(seed: u64, plan: &FaultPlan) -> Option<Failure> {
    let mut smallest = run_plan(seed, *plan).err()?;
    loop {
        let kind = std::mem::discriminant(&*smallest.violation);
        let smaller = smallest.plan.reductions().into_iter().find_map(|plan| {
            let failure = run_plan(smallest.seed, plan).err()?;
            (std::mem::discriminant(&*failure.violation) == kind).then_some(failure)
        });
        match smaller {
            Some(smaller) => smallest = smaller,
            None => return Some(smallest),
        }
    }
}
