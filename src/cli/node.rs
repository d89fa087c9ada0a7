//! Owns the commands that look at a node.

use clap::Subcommand;

use super::{failure::Outcome, session::Session};
use crate::api::view::node::{NodeView, PeerView};

/// What can be seen of a node.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Shows the node: height, peers, and whose keys it holds
    Status,
    /// Lists the other nodes of the mesh
    Peers,
}

/// Carries a command out.
pub(super) async fn run(command: NodeCommand, session: &Session) -> Outcome {
    let client = session.client()?;
    match command {
        NodeCommand::Status => {
            session.print(&client.get::<NodeView>("/v1/node").await?)?;
            session.suggest("althing proposal list");
        }
        NodeCommand::Peers => {
            session.print(&client.get::<Vec<PeerView>>("/v1/peers").await?)?;
            session.suggest("althing node status");
        }
    }
    Ok(())
}
