//! Random lives hold every invariant, and each invariant notices what it is there for.

mod attempt;
mod dormancy;
mod emergency;
mod planted;
mod random;
mod reachable;
mod weight;
