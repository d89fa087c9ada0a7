//! Owns the commands that run a node and look at one.

use clap::Subcommand;

use super::{
    daemon::{self, NodeRunArguments},
    failure::Outcome,
    session::Session,
};
use crate::api::view::node::{NodeView, PeerView};

/// What can be done with a node.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Runs a node in this process until it is told to end
    Run(NodeRunArguments),
    /// Shows the node: height, peers, and whose keys it holds
    Status,
    /// Lists the other nodes of the mesh
    Peers,
}

/// Carries a command out.
pub(super) async fn run(command: NodeCommand, session: &Session) -> Outcome {
    let client = match &command {
        NodeCommand::Run(arguments) => return daemon::run_node(arguments, session).await,
        NodeCommand::Status | NodeCommand::Peers => session.client()?.at_any_height(),
    };
    match command {
        NodeCommand::Run(_) => {}
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
