//! Owns the node as its API sees it: values of the ledger, the submitter, the mesh's peers, readiness.

use std::{fs::File, io::Seek as _, sync::Arc};

use althing_actors::{
    auditor::bundle,
    ledger::{
        LedgerHandle,
        message::{Final, LedgerFeed, ReadError},
    },
    signer::{
        message::SignError,
        submitter::{self, Submitter},
    },
};
use althing_contracts::{
    event::EventRecord,
    genesis::Genesis,
    name::{Line, MemberId, Name},
    quantity::EventSequence,
    role::Role,
    transaction::Call,
};
use althing_netconfig::{config, mesh::MeshHandle};
use async_trait::async_trait;
use tokio::sync::watch;

use super::{Parts, clock, metrics, ports, proof::Proof};
use crate::api::backend::{ActError, Backend, Check, ExportError, NodeFacts, NodeRole, Peer};

mod readiness;

/// The node behind its API.
pub(super) struct NodeBackend {
    facts: NodeFacts,
    genesis: Arc<Genesis>,
    ledger: LedgerHandle,
    submitter: Submitter,
    mesh: MeshHandle,
    read_only: watch::Receiver<Option<&'static str>>,
    proof: Proof,
}

impl NodeBackend {
    pub(super) fn new<'a>(
        parts: &Parts,
        mesh: &MeshHandle,
        holders: impl Iterator<Item = &'a (MemberId, Role)>,
        proof: Proof,
    ) -> Self {
        let section = &parts.config.node;
        let facts = NodeFacts {
            name: section.name.clone(),
            org: section.org.clone(),
            role: role(section.role),
            node: mesh.local(),
            started: clock::system().now(),
            keys: holders.cloned().collect(),
        };
        Self {
            facts,
            genesis: parts.genesis.clone(),
            ledger: parts.ledger.0.clone(),
            submitter: parts.submitter.clone(),
            mesh: mesh.clone(),
            read_only: parts.watcher.read_only(),
            proof,
        }
    }

    fn check_validators(&self) -> Check {
        let connected = self.mesh.peers().into_iter().collect();
        let why = readiness::validators(self.view().state.roster(), self.facts.node, &connected);
        Check { name: "validators", failure: why.as_deref().map(line) }
    }

    fn check_admission(&self) -> Check {
        let is_named = super::admission::named(&self.view().state).contains(&self.facts.node);
        let failure = (!is_named).then(|| {
            line("the ledger, as far as it is here, names no such node; a proposal has to admit it")
        });
        Check { name: "admission", failure }
    }

    fn check_head(&self) -> Check {
        let view = self.view();
        let why = readiness::head(view.state.height(), view.highest_seen);
        Check { name: "ledger", failure: why.as_deref().map(line) }
    }

    fn check_clock(&self) -> Check {
        let failure = self.view().clock_offset_ms.map(|offset_ms| {
            let side = if offset_ms > 0 { "ahead of" } else { "behind" };
            line(&format!(
                "this machine's clock is {} s {side} most validators'; check its time service",
                offset_ms.unsigned_abs() / 1_000
            ))
        });
        Check { name: "clock", failure }
    }

    fn check_actors(&self) -> Check {
        let failure = self.read_only.borrow().map(|actor| {
            line(&format!(
                "the {actor} failed too often, the node is read-only; look at its log and restart it"
            ))
        });
        Check { name: "actors", failure }
    }

    fn check_log(&self) -> Check {
        let failure = self.ledger.failure().borrow().as_ref().map(|text| line(text));
        Check { name: "log", failure }
    }
}

#[async_trait]
impl Backend for NodeBackend {
    fn feed(&self) -> LedgerFeed {
        self.ledger.feed()
    }

    async fn events_after(&self, after: EventSequence, limit: usize) -> Result<Vec<EventRecord>, ReadError> {
        self.ledger.read_events(after, limit).await
    }

    async fn submit(&self, sender: MemberId, role: Role, call: Call) -> Result<Final, ActError> {
        if !self.submitter.holds(&sender, role) {
            return Err(ActError::NoKey { member: sender, role });
        }
        self.submitter.act(&sender, role, call).await.map_err(refused)
    }

    fn takes_writes(&self) -> bool {
        self.facts.role == NodeRole::Validator
    }

    fn facts(&self) -> NodeFacts {
        self.facts.clone()
    }

    fn peers(&self) -> Vec<Peer> {
        let connected = self.mesh.peers();
        let view = self.view();
        let validators = view.state.organisations().filter_map(|(org, record)| {
            let name = Name::new(org.as_str()).ok()?;
            Some((record.validator.node, name, org.clone(), NodeRole::Validator))
        });
        let observers = view.state.observers();
        let observers = observers
            .map(|(name, record)| (record.node, name.clone(), record.org.clone(), NodeRole::Auditor));
        let others = validators.chain(observers).filter(|(node, ..)| *node != self.facts.node);
        let peer =
            |(node, name, org, role)| Peer { node, name, org, role, connected: connected.contains(&node) };
        others.map(peer).collect()
    }

    async fn export_bundle(&self) -> Result<File, ExportError> {
        let exporter = line(self.facts.name.as_str());
        let file = tempfile::tempfile()?;
        let sink = std::io::BufWriter::new(file);
        let ledger = ports::BoundLedger(self.ledger.clone());
        let view = self.view();
        let additions = self.proof.additions().await;
        let written = bundle::export_ledger(&self.genesis, exporter, &ledger, &view, &additions, sink).await;
        let (sink, _trailer) = written.map_err(not_exported)?;
        let mut file = sink.into_inner().map_err(|error| ExportError::Write(error.into_error()))?;
        file.rewind()?;
        Ok(file)
    }

    fn metrics_text(&self) -> String {
        metrics::render()
    }

    fn checks(&self) -> Vec<Check> {
        vec![
            self.check_validators(),
            self.check_admission(),
            self.check_head(),
            self.check_log(),
            self.check_clock(),
            self.check_actors(),
        ]
    }
}

fn refused(error: submitter::ActError) -> ActError {
    match error {
        submitter::ActError::Ledger(error) => ActError::Submit(error),
        submitter::ActError::Unknown { .. } => {
            ActError::Submit(althing_actors::ledger::message::SubmitError::Unknown)
        }
        submitter::ActError::Refused(other @ SignError::OtherKey { .. }) => {
            ActError::OtherKey(other.to_string())
        }
        other => match other.reject() {
            Some(reject) => ActError::Submit(reject.clone().into()),
            None => ActError::Signer(other.to_string()),
        },
    }
}

fn not_exported(error: bundle::ExportError) -> ExportError {
    match error {
        bundle::ExportError::Read(error) => ExportError::Read(error),
        other => ExportError::Write(std::io::Error::other(other)),
    }
}

const fn role(role: config::NodeRole) -> NodeRole {
    match role {
        config::NodeRole::Validator => NodeRole::Validator,
        config::NodeRole::Auditor => NodeRole::Auditor,
    }
}

/// Text for people, cut to what a line may hold.
fn line(text: &str) -> Line {
    Line::shortened(text)
}
