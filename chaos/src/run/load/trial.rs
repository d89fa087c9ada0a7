//! Owns what a run leaves on the ledger of a mesh that stands: every proposal that it opened is withdrawn. The last one, after
//! the last mend, shows that the mesh takes, votes on and withdraws a proposal.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::lives::Life;
use crate::{
    process::{
        client::{ClientError, NodeClient},
        vote::{OpenVote, TITLE, fresh_key, member_with, withdraw},
    },
    run::stop::Stop,
};

/// Longest time for one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Longest time until something that can be done is done.
const TRIED_WITHIN: Duration = Duration::from_secs(40);
/// Pause before it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How a proposal stands that was withdrawn.
pub const WITHDRAWN: &str = "cancelled";

/// One proposal from its submission to its withdrawal.
#[must_use]
pub fn live(nodes: &[NodeClient], begun: Instant, stop: &Stop) -> Life {
    let nodes: Vec<_> = nodes.iter().map(|node| node.within(ANSWER_WITHIN)).collect();
    let now_ms = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut life = Life {
        proposal: String::new(),
        author: nodes[0].org().to_owned(),
        version: String::new(),
        stage: "not submitted".to_owned(),
        began_ms: now_ms(),
        ended_ms: 0,
    };
    if let Err(error) = attempt(&nodes, &mut life, stop) {
        life.stage = format!("{}: {error}", life.stage);
    }
    life.ended_ms = now_ms();
    life
}

fn attempt(nodes: &[NodeClient], life: &mut Life, stop: &Stop) -> Result<(), ClientError> {
    let vote = until_done(stop, || OpenVote::begin(&nodes[0], &nodes[1]))?;
    vote.proposal().clone_into(&mut life.proposal);
    "submitted".clone_into(&mut life.stage);
    let key = fresh_key();
    let ballot = || {
        let voter = member_with(&nodes[1], "voter")?;
        nodes[1].post(&vote.path(), &key, &vote.ballot(&voter, "against"))
    };
    until_done(stop, ballot)?;
    "voted on".clone_into(&mut life.stage);
    let author = member_with(&nodes[0], "author")?;
    let key = fresh_key();
    until_done(stop, || withdraw(&nodes[0], &author, vote.proposal(), &key))?;
    WITHDRAWN.clone_into(&mut life.stage);
    Ok(())
}

/// Withdraws every proposal that load has opened above a height, also those whose submission was never answered; yields
/// those that stay, with the reason.
#[must_use]
pub fn withdraw_all(nodes: &[NodeClient], since: u64) -> Vec<String> {
    let nodes: Vec<_> = nodes.iter().map(|node| node.within(ANSWER_WITHIN)).collect();
    let never = Stop::default();
    let open = until_done(&never, || nodes[0].get_all("/v1/proposals"));
    let open = match open {
        Ok(open) => open,
        Err(error) => return vec![error.to_string()],
    };
    let is_ours = |shown: &&Value| shown["title"] == TITLE && shown["ended"] == false;
    let mut stay = Vec::new();
    for shown in open.iter().filter(is_ours) {
        let (id, author) = (text(shown, "id"), text(shown, "author"));
        match until_done(&never, || nodes[0].get(&format!("/v1/proposals/{id}"))) {
            Ok(whole) if whole["submitted_at"].as_u64().is_some_and(|height| height <= since) => continue,
            Ok(_) => {}
            Err(error) => {
                stay.push(format!("{id}: {error}"));
                continue;
            }
        }
        let node = nodes.iter().find(|node| author.split('/').next() == Some(node.org()));
        let Some(node) = node else {
            stay.push(format!("{id}: its author is not here"));
            continue;
        };
        let key = fresh_key();
        if let Err(error) = until_done(&never, || withdraw(node, &author, &id, &key)) {
            stay.push(format!("{id}: {error}"));
        }
    }
    stay
}

fn until_done<T>(stop: &Stop, ask: impl Fn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    let deadline = Instant::now() + TRIED_WITHIN;
    loop {
        match ask() {
            Err(error) if error.may_pass() && Instant::now() < deadline && !stop.is_requested() => {
                thread::park_timeout(RETRY_AFTER);
            }
            outcome => return outcome,
        }
    }
}

fn text(shown: &Value, field: &str) -> String {
    shown[field].as_str().unwrap_or_default().to_owned()
}
