//! The life of proposals, move by move: accepted, refused, repeated, reordered.

mod amendment;
mod attack;
mod audit;
mod ballot;
mod cosign;
mod execution;
mod moves;
mod queue;
mod rollback;
mod story;
mod submission;
