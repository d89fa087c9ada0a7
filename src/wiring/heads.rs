//! Owns carrying the heads that other nodes show to this node's auditor, who compares histories.

use althing_actors::{
    auditor::{actor::AuditorActor, message::ObserveHead},
    ledger::message::ShownHead,
    watcher::Watched,
};
use tokio::sync::broadcast::{self, error::RecvError};

/// Shows every head to the auditor, in whichever of its lives.
pub(super) fn show(heads: broadcast::Receiver<ShownHead>, auditor: Watched<AuditorActor>) {
    tokio::spawn(follow(heads, auditor));
}

async fn follow(mut heads: broadcast::Receiver<ShownHead>, auditor: Watched<AuditorActor>) {
    loop {
        match heads.recv().await {
            Ok(ShownHead { from, certificate }) => {
                // An auditor that is being started again sees the next head of the same history.
                let _missed = auditor.send(ObserveHead { from, certificate }).await;
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
