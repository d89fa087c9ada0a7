//! Owns the model: every order in which things can happen, tried out on the contracts' own types, and the abstract
//! life of a proposal that both the model and the traces of simulations have to follow.
//!
//! A state of the model holds the real ledger, named by its authenticated root, and a small world around it. What
//! it refuses to do is decide: each move is the real `State::apply`, the real plan runner, the real certificate.

#[cfg(feature = "model")]
mod consensus;
#[cfg(feature = "model")]
mod execution;
#[cfg(feature = "model")]
mod governance;
#[cfg(feature = "model")]
mod ledger;
mod life;
#[cfg(feature = "model")]
mod notary;
#[cfg(feature = "model")]
mod report;
#[cfg(test)]
mod tests;
mod trace;

pub use life::Deviation;
#[cfg(feature = "model")]
pub use report::{Outcome, Verdict};
pub use trace::{Follower, Trace, replay};

/// How much of the model is explored.
#[cfg(feature = "model")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// About a minute on two cores.
    Short,
    /// A few minutes on two cores.
    Full,
}

/// The parts of the model, by name.
#[cfg(feature = "model")]
pub const PARTS: [&str; 3] = ["governance", "execution", "consensus"];

/// Explores the parts named and tells what each model found as soon as it is known.
#[cfg(feature = "model")]
pub fn explore(parts: &[&str], scope: Scope, threads: usize, mut tell: impl FnMut(Outcome)) {
    for part in parts {
        match *part {
            "governance" => governance::explore(scope, threads, &mut tell),
            "execution" => execution::explore(scope, threads, &mut tell),
            _ => consensus::explore(scope, threads, &mut tell),
        }
    }
}
