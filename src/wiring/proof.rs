//! Owns what this node adds to a bundle: its own testimony on its keys, and the split views that its auditor found.

use std::{path::PathBuf, sync::Arc};

use althing_actors::{
    auditor::{actor::AuditorActor, alarm::Alarm, bundle::Additions, message::ReadAlarms},
    signer::testimony::{KeyUseWitness, NodeKey},
    watcher::Watched,
};
use althing_contracts::{digest::Digest, name::MemberId, role::Role};

/// The node's additions.
pub(super) struct Proof {
    /// `None` on a node that holds no member's key.
    witness: Option<KeyUseWitness>,
    auditor: Option<Watched<AuditorActor>>,
}

impl Proof {
    pub(super) fn new<'a>(
        key: NodeKey,
        network: Digest,
        holders: impl Iterator<Item = &'a (MemberId, Role)>,
        journal: PathBuf,
        auditor: Option<Watched<AuditorActor>>,
    ) -> Self {
        let mut holders = holders.cloned().peekable();
        let holds_keys = holders.peek().is_some();
        let witness = holds_keys.then(|| KeyUseWitness::new(key, network, holders, journal));
        Self { witness, auditor }
    }

    /// What goes into a bundle beside the ledger. An auditor that is being started again adds nothing this time.
    pub(super) async fn additions(&self) -> Additions<'_> {
        let alarms = match &self.auditor {
            Some(auditor) => auditor.send(ReadAlarms).await.unwrap_or_default(),
            None => Arc::default(),
        };
        let split_views = alarms.iter().filter_map(|alarm| match alarm {
            Alarm::SplitView(split) => Some(split.clone()),
            _ => None,
        });
        Additions { witness: self.witness.as_ref(), split_views: split_views.collect() }
    }
}
