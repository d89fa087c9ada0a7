//! Owns what others may ask of the auditor.

use std::sync::Arc;

use actix::Message;
use althing_contracts::certificate::Certificate;
use tokio::sync::oneshot;

use super::{alarm::Alarm, state::AuditorStatus};
use crate::port::{NodeId, Verdict};

/// Asks where the auditor stands.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "AuditorStatus")]
pub struct ReadStatus;

/// Asks for the alarms kept, those of earlier runs included.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Arc<Vec<Alarm>>")]
pub struct ReadAlarms;

/// Shows a head from the gossip topic `Heads`. The verdict comes once the certificate was judged.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ObserveHead {
    /// The neighbour it came from.
    pub from: NodeId,
    /// The head.
    pub certificate: Certificate,
    /// Where the verdict goes; [`Verdict::Ignore`] when the auditor has no room for it.
    pub verdict: oneshot::Sender<Verdict>,
}

/// Stops the auditor in order; what it re-applied is on the disk already.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Stop;
