//! The life of proposals, move by move: accepted, refused, repeated, reordered.

mod story;
