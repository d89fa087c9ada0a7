//! Owns the story that shows what a mesh does.

pub mod greeter;
