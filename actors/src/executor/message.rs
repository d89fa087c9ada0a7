//! Owns what may be asked of the executor.

use actix::Message;
use althing_contracts::name::TargetId;

use super::journal::StepKey;

/// Which steps are being carried out, by target.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<(TargetId, StepKey)>")]
pub struct Running;

/// Ends the executor in order. What is under way at a provider goes on; its outcome is read from the target at the
/// next start.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Stop;
