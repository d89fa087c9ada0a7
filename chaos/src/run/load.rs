//! Owns the work that a mesh is given while it is broken: ballots and reads all the time, and whole lives of proposals
//! one after another.

pub mod ballots;
pub mod lives;
pub mod reads;
pub mod trial;
