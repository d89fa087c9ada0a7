//! Owns one node as a process: configuration, signals, and an end that says why.

use std::path::Path;

use althing_actors::ledger::{
    StoreError,
    data_dir::{self, DataDirError},
};
use althing_netconfig::config::{Config, ConfigError};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::wiring::{self, Node, NodeError};

/// Why a daemon ended badly.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part of the node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Signals cannot be heard.
    #[error("the signals of this process cannot be heard")]
    Signals(#[source] std::io::Error),
    /// The ledger could not go on.
    #[error("the ledger stopped: {0}")]
    Ledger(String),
}

/// Runs a node until it is told to end (SIGTERM, SIGINT) or cannot go on.
///
/// `started` is told where the node listens.
///
/// # Errors
/// See [`DaemonError`].
pub async fn run(path: &Path, started: impl FnOnce(&Node)) -> Result<(), DaemonError> {
    wiring::metrics::install();
    let loaded = Config::load(path, std::env::vars())?;
    // A second start of a node meets its own ports first; the directory is why it must not run.
    data_dir::check_free(&loaded.config.node.data_dir).map_err(held)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let node = Node::start(loaded.config).await?;
    let mut failure = node.failure();
    started(&node);
    let failed = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        failed = failure.wait_for(Option::is_some) => failed.ok().and_then(|text| text.clone()),
    };
    info!("node stopping");
    node.stop().await;
    failed.map_or(Ok(()), |text| Err(DaemonError::Ledger(text.to_string())))
}

/// What the ledger says when it finds its directory held.
fn held(error: DataDirError) -> NodeError {
    NodeError::Part { part: "ledger", source: StoreError::from(error).into() }
}
