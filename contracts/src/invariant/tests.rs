//! Random lives hold every invariant, and each invariant notices what it is there for.

mod planted;
mod random;
