//! Owns carrying the ledger's decisions about who takes part to the mesh, which lets nobody else in.

use std::{collections::BTreeSet, sync::Arc};

use althing_actors::{ledger::message::LedgerView, port::NodeId};
use althing_contracts::state::State;
use althing_netconfig::mesh::MeshHandle;
use tokio::sync::watch;
use tracing::info;

/// Lets in whom the ledger names, block by block. While it does not name this node itself, which has to catch up with its
/// own admission, those stay let in whom the operator has it dial.
pub(super) fn follow(
    mut view: watch::Receiver<Arc<LedgerView>>,
    mesh: MeshHandle,
    dialled: BTreeSet<NodeId>,
) {
    tokio::spawn(async move {
        let mut admitted = None;
        loop {
            let mut nodes = named(&view.borrow_and_update().state);
            if !nodes.contains(&mesh.local()) {
                nodes.extend(&dialled);
            }
            if admitted.as_ref() != Some(&nodes) {
                info!(
                    nodes = nodes.len(),
                    named = nodes.contains(&mesh.local()),
                    "nodes admitted by the ledger"
                );
                mesh.allow(nodes.iter().copied()).await;
                admitted = Some(nodes);
            }
            if view.changed().await.is_err() {
                return;
            }
        }
    });
}

/// The nodes of all organisations and observers.
pub(super) fn named(state: &State) -> BTreeSet<NodeId> {
    let validators = state.organisations().map(|(_, record)| record.validator.node);
    validators.chain(state.observers().map(|(_, record)| record.node)).collect()
}
