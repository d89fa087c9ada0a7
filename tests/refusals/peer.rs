//! A peer that means harm, against daemons as an operator runs them: what it sends is refused and counted, it is named,
//! and the others go on deciding. It holds the place of `delta`, whose own daemon is down.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use althing_actors::ledger::{
    consensus::proposer,
    wire::{BlockMessage, Message},
};
use althing_chaos::process::{
    Process,
    client::{ClientError, NodeClient},
    hostile::{Followed, FramePeer, HostilePeer},
    mesh::ProcessMesh,
    vote::{OpenVote, Voter, fresh_key},
};
use althing_contracts::{
    block::Block,
    certificate::{ProposalStatement, VoteKind, VoteStatement},
    digest::Digest,
    ledger::{self, BlockContext},
    name::{Name, OrgId},
    quantity::{Round, Sequence, TimeMs},
    role::Role,
    signature::Signature,
    transaction::{Call, Choice, Transaction, TransactionBody},
};
use althing_netconfig::{identity, keys, mesh::FRAME_LEN_MAX};
use ed25519_zebra::SigningKey;
use serde_json::{Value, json};

use crate::program::{PROGRAM, Written, command};

/// Longest time until an attack is noticed.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The daemons that run.
const HONEST: [&str; 3] = ["acme", "birch", "cedar"];
/// Heights after which it was the turn of each of four validators.
const TURNS_MAX: usize = 12;
/// Far more than a document may have.
const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

/// Three of four validators, as daemons.
struct Attacked {
    written: Written,
    daemons: [Process; 3],
    mesh: ProcessMesh,
}

impl Attacked {
    fn new() -> Self {
        let written = Written::new();
        let daemons = HONEST.map(|node| {
            written.start_with(node, |run| {
                run.env("RUST_LOG", "althing=info,warn,althing_netconfig::mesh=debug").env("NO_COLOR", "1");
            })
        });
        let mesh = ProcessMesh::open(PROGRAM.as_ref(), &written.path("")).unwrap();
        Self { written, daemons, mesh }
    }

    /// The configuration of the daemon that is down.
    fn config(&self) -> PathBuf {
        self.written.path("delta/node.toml")
    }

    /// A peer in the place of `delta`, connected with everybody.
    fn delta(&self) -> HostilePeer {
        let mut peer = HostilePeer::in_place_of(&self.config()).unwrap();
        peer.wait_connected(&HONEST).unwrap();
        peer
    }

    fn client(&self, at: usize) -> &NodeClient {
        self.mesh.nodes()[at].client()
    }

    /// What `acme` says in a line that contains `text`.
    fn says(&self, text: &str) -> String {
        self.daemons[0].wait_for_line(text, NOTICE_TIMEOUT).unwrap()
    }

    /// Waits until a counter of a node, written with its label, shows a number.
    fn counts(&self, at: usize, counter: &str, number: u64) {
        let begun = Instant::now();
        let prefix = format!("{counter} ");
        loop {
            let metrics = self.client(at).metrics().unwrap();
            let shown = metrics.lines().find_map(|line| line.strip_prefix(&prefix));
            if shown == Some(&number.to_string()) {
                return;
            }
            assert!(begun.elapsed() < NOTICE_TIMEOUT, "{} shows {counter} {shown:?}", HONEST[at]);
            thread::park_timeout(LOOK_EVERY);
        }
    }

    /// Misbehaviour as `acme` counts it: of this kind as often as given, of all others never.
    fn blames(&self, kind: &str, number: u64) {
        for known in ["malformed", "signature", "stranger", "invalid_block", "invalid_history"] {
            let expected = if known == kind { number } else { 0 };
            self.counts(0, &format!("althing_ledger_misbehaviour_total{{kind=\"{known}\"}}"), expected);
        }
    }

    /// The mesh decides, and all hold the same.
    fn decides(&self) -> OpenVote {
        let vote = OpenVote::begin(self.client(0), self.client(1)).expect("the mesh goes on");
        let height = self.client(1).head().unwrap().height;
        let heads = [0, 1, 2].map(|at| {
            self.client(at).wait_for_height(height).unwrap();
            self.client(at).head().unwrap()
        });
        for head in &heads[1..] {
            assert_eq!((head.height, &head.state_root), (heads[0].height, &heads[0].state_root));
        }
        vote
    }

    /// Has `peer` follow until it is the turn of its validator to propose.
    fn turn_of(&self, peer: &HostilePeer) -> Followed {
        let own = peer.consensus().unwrap().public();
        let has_turn = |followed: &Followed| {
            let next = followed.state.height().next();
            proposer(followed.state.roster(), next, Round::ZERO) == Some(own)
        };
        let mut vote = self.decides();
        for turn in 0..TURNS_MAX {
            let followed = peer.follow("acme").unwrap();
            if has_turn(&followed) {
                return followed;
            }
            if turn % 2 == 0 {
                // One block, where a proposal and its review are two.
                Voter::of(self.client(0), &[vote.clone()]).and_then(|mut voter| voter.cast()).unwrap();
            } else {
                vote = self.decides();
            }
        }
        panic!("it was never the turn of delta");
    }
}

/// Says that `line` names a node of the mesh as the one that broke the protocol.
fn assert_names(line: &str, peer: &HostilePeer, how: &str) {
    assert!(line.contains(&peer.node().to_string()) && line.contains(how), "{line}");
}

/// A ballot of the voter of `delta`, signed for `network`.
fn ballot(mesh: &Attacked, vote: &OpenVote, network: Digest) -> Vec<u8> {
    let keys = keys::load_members(&mesh.written.path("delta/keys"), &OrgId::new("delta").unwrap()).unwrap();
    let (member, role, key) = keys.iter().find(|(_, role, _)| *role == Role::Voter).unwrap();
    let json = vote.ballot(&member.to_string(), "for");
    let call = Call::Vote {
        proposal: serde_json::from_value(json!(vote.proposal())).unwrap(),
        revision: serde_json::from_value(json["revision"].clone()).unwrap(),
        plan_hash: serde_json::from_value(json["plan_hash"].clone()).unwrap(),
        choice: Choice::For,
    };
    let body = TransactionBody {
        sender: member.clone(),
        role: *role,
        sequence: Sequence::new(1),
        not_after: TimeMs::MAX,
        call,
    };
    let signature = SigningKey::from(*key.seed()).sign(body.signing_message(network).as_bytes());
    Transaction::V3 { body, key: key.public(), signature: Signature::Ed25519(signature.to_bytes()) }.encode()
}

fn refusal(answer: Result<Value, ClientError>) -> (u16, Value) {
    match answer {
        Err(ClientError::Refused { status, body, .. }) => (status, serde_json::from_str(&body).unwrap()),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_peer_that_is_not_on_the_roster_is_refused_at_the_handshake() {
    let mesh = Attacked::new();
    let stranger = HostilePeer::stranger(&mesh.config(), "acme").unwrap();
    let name = identity::peer_id(stranger.node()).unwrap().to_string();
    let told = mesh.says("connection refused");
    assert!(told.contains(&name) && told.contains("stranger"), "{told}");
    assert_eq!(stranger.peers(), []);
    assert!(stranger.send("acme", "let me in".into()).is_err());
    mesh.decides();
    mesh.blames("none", 0);
    mesh.counts(0, "althing_mesh_peers", 2);
    let metrics = mesh.client(0).metrics().unwrap();
    let refused = metrics
        .lines()
        .find_map(|line| line.strip_prefix("althing_mesh_connections_refused_total{reason=\"stranger\"} "));
    assert!(refused.is_some_and(|count| count.parse::<u64>().unwrap() > 0), "{refused:?}");
}

#[test]
fn a_validator_that_sends_garbage_is_named_and_thrown_out_for_a_while() {
    let mesh = Attacked::new();
    let mut delta = mesh.delta();
    delta.send("acme", vec![0xff; 300].into()).unwrap();
    assert_names(&mesh.says("a peer broke the protocol"), &delta, "Malformed");
    mesh.blames("malformed", 1);
    mesh.decides();
    for _ in 1..8 {
        delta.send("acme", "GET / HTTP/1.1\r\n\r\n".into()).unwrap();
    }
    delta.wait_thrown_out("acme").unwrap();
    mesh.blames("malformed", 8);
    assert_names(&mesh.says("reports=8"), &delta, "node misbehaved");
    assert!(mesh.says("reason=\"banned\"").contains("connection refused"));
    mesh.decides();
}

#[test]
fn frames_that_are_too_long_close_their_stream_and_a_proposal_of_ten_megabytes_is_one() {
    let mesh = Attacked::new();
    let mut delta = FramePeer::in_place_of(&mesh.config(), "acme").unwrap();
    let one_too_many = u32::try_from(FRAME_LEN_MAX + 1).unwrap().to_be_bytes();
    delta.write_until_closed(&one_too_many).unwrap();
    let told = mesh.says("direct stream closed");
    assert!(told.contains(&delta.node().to_string()) && told.contains("oversized"), "{told}");
    let oversized = "althing_mesh_direct_broken_total{reason=\"oversized\"}";
    mesh.counts(0, oversized, 1);

    let proposal = Message::Transactions(vec![vec![b'x'; TEN_MEGABYTES]]);
    let proposal = althing_actors::ledger::wire::LedgerMessage::encode(proposal);
    let len = u32::try_from(proposal.len()).unwrap().to_be_bytes();
    delta.write_until_closed(&[&len[..], &proposal[..]].concat()).unwrap();
    mesh.counts(0, oversized, 2);
    mesh.blames("none", 0);
    mesh.decides();
}

#[test]
fn a_proposal_of_ten_megabytes_is_refused_by_the_api_with_the_bound() {
    let mesh = Attacked::new();
    let document = json!({ "schema": 1, "title": "Too much", "reason": "x".repeat(TEN_MEGABYTES) });
    let body = json!({ "as": "acme/alice", "document": document, "plan_hash": "00".repeat(32) });
    let len = body.to_string().len();
    let (status, problem) = refusal(mesh.client(0).post("/v1/proposals", &fresh_key(), &body));
    assert_eq!(status, 413);
    assert_eq!(
        problem["detail"],
        format!(
            "the body has {len} bytes, at most 266240 are allowed; split the change into smaller proposals"
        )
    );
    mesh.decides();
}

#[test]
fn a_block_with_a_wrong_state_root_is_refused_by_everybody_and_its_proposer_named() {
    let mesh = Attacked::new();
    let delta = mesh.delta();
    let Followed { state, block: parent, .. } = mesh.turn_of(&delta);
    let key = delta.consensus().unwrap();
    let (height, round) = (state.height().next(), Round::ZERO);
    let time = state.time().next();
    let context = BlockContext { height, round, time, parent, proposer: key.public() };
    let mut header = ledger::build(&state, context, &[]).header;
    header.state_root = Digest::from_bytes([0x66; 32]);
    let wrong = Block::V1 { header, transactions: Vec::new() };
    let statement = ProposalStatement { height, round, block: wrong.digest(), polka_round: None };
    let proposal = key.sign_proposal(statement, delta.network());
    for org in HONEST {
        delta.say(org, Message::Proposal(proposal.clone())).unwrap();
        let bytes = wrong.encode();
        delta.say(org, Message::Block(BlockMessage { height, round, bytes })).unwrap();
    }
    for (at, daemon) in mesh.daemons.iter().enumerate() {
        let told = daemon.wait_for_line("a block was refused", NOTICE_TIMEOUT).unwrap();
        assert!(told.contains("the header's state_root is not what executing the block yields"), "{told}");
        let told = daemon.wait_for_line("a peer broke the protocol", NOTICE_TIMEOUT).unwrap();
        assert_names(&told, &delta, "InvalidBlock");
        mesh.counts(at, "althing_ledger_misbehaviour_total{kind=\"invalid_block\"}", 1);
    }
    mesh.blames("invalid_block", 1);
    mesh.decides();
    // Every block since then was executed again on the way here.
    let decided = delta.follow("acme").unwrap();
    assert!(decided.state.height() > height);
}

#[test]
fn a_ballot_that_was_signed_for_another_network_counts_nowhere() {
    let mesh = Attacked::new();
    let delta = mesh.delta();
    let vote = mesh.decides();
    let mut other = delta.genesis().clone();
    other.name = Name::new("other").unwrap();
    assert_ne!(other.network(), delta.network());
    let foreign = ballot(&mesh, &vote, other.network());
    delta.say("acme", Message::Transactions(vec![foreign])).unwrap();
    assert_names(&mesh.says("a peer broke the protocol"), &delta, "Signature");
    mesh.blames("signature", 1);
    mesh.decides();
    let shown = mesh.client(0).get(&vote.path()).unwrap();
    assert_eq!(shown["ballots"], json!([]));

    // The same ballot for this network is taken: nothing else was wrong with it.
    let own = ballot(&mesh, &vote, delta.network());
    for org in HONEST {
        delta.say(org, Message::Transactions(vec![own.clone()])).unwrap();
    }
    let begun = Instant::now();
    while mesh.client(0).get(&vote.path()).unwrap()["ballots"][0]["voter"].is_null() {
        assert!(begun.elapsed() < NOTICE_TIMEOUT, "the ballot was not taken");
        thread::park_timeout(LOOK_EVERY);
    }
}

/// The API takes no signed bytes, its node signs; what of another network can reach it is a proposal's name.
#[test]
fn a_ballot_on_a_proposal_that_only_another_network_has_is_refused_by_the_api() {
    let mesh = Attacked::new();
    let vote = mesh.decides();
    let elsewhere = Digest::from_bytes([0x77; 32]);
    let path = format!("/v1/proposals/{elsewhere}/votes");
    let ballot = vote.ballot("acme/vera", "for");
    let (status, problem) = refusal(mesh.client(0).post(&path, &fresh_key(), &ballot));
    assert_eq!(
        (status, problem["detail"].as_str()),
        (404, Some(format!("there is no proposal {elsewhere}").as_str()))
    );
    mesh.decides();
}

#[test]
fn a_validator_that_votes_twice_is_on_the_ledger_of_every_honest_node() {
    let mesh = Attacked::new();
    let delta = mesh.delta();
    mesh.decides();
    let height = delta.follow("acme").unwrap().state.height().next();
    let key = delta.consensus().unwrap();
    for block in [0x11, 0x22] {
        let block = Some(Digest::from_bytes([block; 32]));
        let statement = VoteStatement { kind: VoteKind::Prevote, height, round: Round::ZERO, block };
        let vote = key.sign_vote(statement, delta.network());
        delta.say("acme", Message::Vote(vote)).unwrap();
    }
    let told = mesh.says("a validator signed twice");
    assert!(told.contains(&key.public().to_string()) && told.contains(&format!("height={height}")), "{told}");
    mesh.counts(0, "althing_ledger_equivocations_total", 1);
    mesh.says("equivocation is on the ledger");
    for node in HONEST {
        let address = format!("unix:{}", mesh.written.path(&format!("{node}/api.sock")).display());
        let words = ["--addr", &address, "event", "tail", "-o", "json", "--after", "0"];
        let words = [&words[..], &["--type", "equivocated", "--count", "1"]].concat();
        let mut tail = Process::spawn("event tail", &mut command(&words)).unwrap();
        assert!(tail.wait_for_end(NOTICE_TIMEOUT).unwrap().success(), "{}", tail.printed());
        let event: Value = serde_json::from_str(&tail.printed()).unwrap();
        assert_eq!(event["data"]["org"], "delta", "{event}");
    }
    mesh.decides();
}
