//! Owns what others may ask of the auditor.

use std::sync::Arc;

use actix::Message;
use althing_contracts::certificate::Certificate;

use super::{alarm::Alarm, state::AuditorStatus};
use crate::port::NodeId;

/// Asks where the auditor stands.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "AuditorStatus")]
pub struct ReadStatus;

/// Asks for the alarms kept, those of earlier runs included.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Arc<Vec<Alarm>>")]
pub struct ReadAlarms;

/// Shows a head that another node is known by. The auditor checks it by its own application of the ledger.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ObserveHead {
    /// The neighbour it came from.
    pub from: NodeId,
    /// The head.
    pub certificate: Certificate,
}

/// Stops the auditor in order; what it re-applied is on the disk already.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Stop;
