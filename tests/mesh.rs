//! Owns what an operator does by hand, on real processes: a mesh written by `althing init mesh`, four daemons and an
//! auditor started from their files, ballots through the API, a clean end, a kill.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use althing_actors::auditor::bundle::verify;
use althing_chaos::process::{
    client::NodeClient,
    mesh::ProcessMesh,
    vote::{OpenVote, Voter},
};

const ORGANISATIONS: [&str; 4] = ["acme", "birch", "cedar", "delta"];
/// Longest time until nodes that were told of a block show it.
const AGREE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time until gossip has brought an auditor the heads of validators, which show one a second.
const HEADS_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks at a node's metrics.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn started(folder: &Path) -> ProcessMesh {
    let binary = Path::new(env!("CARGO_BIN_EXE_althing"));
    let mut mesh =
        ProcessMesh::init(binary, &folder.join("mesh"), &ORGANISATIONS).expect("a mesh is written");
    mesh.start().expect("every node comes up");
    mesh
}

fn vote_on(mesh: &ProcessMesh) -> OpenVote {
    let [author, reviewer] = [0, 1].map(|at| mesh.nodes()[at].client());
    OpenVote::begin(author, reviewer).expect("a proposal takes ballots")
}

#[test]
fn four_daemons_and_an_auditor_decide_and_agree() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mesh = started(folder.path());
    let vote = vote_on(&mesh);
    let mut heights = Vec::new();
    for node in mesh.validators() {
        let ballot = Voter::of(node.client(), std::slice::from_ref(&vote)).and_then(|mut voter| voter.cast());
        heights.push(ballot.expect("a ballot is final").height);
    }
    let head = mesh.wait_for_agreement(AGREE_TIMEOUT).expect("all nodes hold the same state");
    assert_eq!(heights.into_iter().max().expect("four ballots").max(head.height), head.height);
    let shown =
        mesh.auditor().expect("an auditor").client().get(&vote.path()).expect("the auditor shows the vote");
    assert_eq!(shown["ballots"].as_array().map(Vec::len), Some(ORGANISATIONS.len()), "{shown}");
}

/// A counter of a node.
fn counter(node: &NodeClient, name: &str) -> u64 {
    let text = node.metrics().expect("the node shows its metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("there is no {name} in:\n{text}"))
}

#[test]
fn the_heads_of_the_validators_reach_the_auditor_and_agree_with_its_own_application() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mesh = started(folder.path());
    let auditor = mesh.auditor().expect("an auditor").client();
    vote_on(&mesh);
    let last = mesh.wait_for_agreement(AGREE_TIMEOUT).expect("all nodes hold the same state").height;
    let begun = Instant::now();
    while counter(auditor, "althing_auditor_heads_total{outcome=\"agrees\"}") == 0 {
        assert!(begun.elapsed() < HEADS_TIMEOUT, "no head of height {last} or below has arrived");
        thread::park_timeout(LOOK_EVERY);
    }
    for wrong in ["split", "invalid"] {
        assert_eq!(counter(auditor, &format!("althing_auditor_heads_total{{outcome=\"{wrong}\"}}")), 0);
    }
    assert_eq!(counter(auditor, "althing_auditor_alarms_total{alarm=\"split_view\"}"), 0);
}

#[test]
fn the_bundle_of_each_node_ties_every_signature_of_its_members_to_one_use() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mesh = started(folder.path());
    vote_on(&mesh);
    mesh.wait_for_agreement(AGREE_TIMEOUT).expect("all nodes hold the same state");
    for node in mesh.nodes() {
        let mut connection = node.client().connect().expect("the API answers");
        let bundle =
            connection.request("GET", "/v1/audit/export", &[], &[]).expect("a bundle is exported").body;
        let report = verify(&bundle[..], None).expect("the bundle verifies");
        let [found] = &report.key_uses[..] else { panic!("{} testifies: {report:?}", node.name()) };
        assert_eq!((found.decided, found.undecided.len()), (found.uses, 0), "{found:?}");
        // The proposal and its review, by the members of acme and birch.
        let expected = u64::from(["acme", "birch"].contains(&node.name()));
        assert_eq!(found.uses, expected, "{}: {found:?}", node.name());
    }
}

#[test]
fn daemons_that_are_asked_to_end_do_so_in_time() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut mesh = started(folder.path());
    vote_on(&mesh);
    for node in mesh.nodes_mut() {
        let status = node.stop().expect("it ends in time");
        assert!(status.success(), "{} ended with {status}", node.name());
    }
}

#[test]
fn a_killed_daemon_comes_back_with_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut mesh = started(folder.path());
    let vote = vote_on(&mesh);
    let client = mesh.nodes()[0].client().clone();
    let open = [vote, vote_on(&mesh)];
    let mut voter = Voter::of(&client, &open).expect("a voter");
    let acknowledged = voter.cast().expect("the ballot is final");
    for node in mesh.nodes_mut() {
        node.kill().expect("it is killed");
    }
    mesh.start().expect("every node comes back");
    // A kill can come before the node's own disk has what the quorum's disks have.
    client.wait_for_height(acknowledged.height).expect("the node has the block again");
    let shown = client.get(&open[0].path()).expect("the vote is shown");
    assert_eq!(shown["ballots"][0]["voter"], acknowledged.member, "{shown}");
    assert!(voter.cast().expect("the mesh goes on").height > acknowledged.height);
}
