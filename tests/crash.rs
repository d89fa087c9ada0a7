//! Owns the worst week of a mesh in a minute: fifty times a daemon is killed where it is, under load, and started again.
//! Afterwards all nodes hold the same state, nothing that was acknowledged is lost, and nothing happened twice.

#[path = "crash/rollout.rs"]
mod rollout;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use althing_chaos::process::{
    load::{Cast, Load},
    mesh::ProcessMesh,
    vote::{OpenVote, Voter},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

const ORGANISATIONS: [&str; 4] = ["acme", "birch", "cedar", "delta"];
const KILLS: usize = 50;
/// Enough for every node to cast ballots for the whole run: voters of each node, and proposals of each author.
const VOTERS: usize = 500;
const PROPOSALS: usize = 6;
/// Longest time that a node runs before the next kill; the shortest is none.
const UP_MS_MAX: u64 = 400;
/// Every how many kills all nodes die at once.
const ALL_AT_ONCE_EVERY: usize = 10;
const AGREE_TIMEOUT: Duration = Duration::from_mins(1);
/// Repeats a run: the victims and the times between kills are drawn from it.
const SEED_VARIABLE: &str = "ALTHING_TEST_SEED";

/// One kill: whom, when, and how long until all that were killed listened again.
struct Kill {
    victims: std::ops::Range<usize>,
    at: Instant,
    back_after: Duration,
}

#[test]
fn fifty_kills_under_load_lose_nothing_and_double_nothing() {
    let seed = seed();
    println!("repeat with {SEED_VARIABLE}={seed}");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let binary = Path::new(env!("CARGO_BIN_EXE_althing"));
    let mut mesh =
        ProcessMesh::init(binary, &folder.path().join("mesh"), &ORGANISATIONS).expect("a mesh is written");
    for at in 0..ORGANISATIONS.len() {
        mesh.add_voters(at, VOTERS).expect("voters are founded");
    }
    mesh.start().expect("every node comes up");
    let open: Vec<OpenVote> = (0..PROPOSALS * ORGANISATIONS.len()).map(|turn| vote(&mesh, turn)).collect();
    let voters: Vec<_> = mesh
        .validators()
        .map(|node| Voter::of(node.client(), &open).expect("each node holds voters' keys"))
        .collect();

    let load = Load::start(voters);
    let kills = kill_and_restart(&mut mesh, &mut StdRng::seed_from_u64(seed));
    let cast = load.stop();

    let over = Instant::now();
    mesh.wait_for_agreement(AGREE_TIMEOUT).expect("all nodes hold the same state");
    report(&kills, &cast, over.elapsed());
    check(&cast, &open.iter().map(|vote| voted(&mesh, vote)).collect::<Vec<_>>().concat());
}

/// A proposal of each organisation in turn, reviewed by the next one.
fn vote(mesh: &ProcessMesh, turn: usize) -> OpenVote {
    let client = |at: usize| mesh.nodes()[at % ORGANISATIONS.len()].client();
    OpenVote::begin(client(turn), client(turn + 1)).expect("a proposal takes ballots")
}

fn seed() -> u64 {
    let given = std::env::var(SEED_VARIABLE).ok().map(|text| text.parse().expect("a seed is a number"));
    given.unwrap_or_else(|| rand::rng().random())
}

fn kill_and_restart(mesh: &mut ProcessMesh, random: &mut StdRng) -> Vec<Kill> {
    let kill_next = |number: usize| {
        let victim = random.random_range(0..ORGANISATIONS.len());
        let up = Duration::from_millis(random.random_range(0..=UP_MS_MAX));
        mesh.nodes_mut()[victim].stays_up_for(up).expect("a node ends only when it is killed");
        let victims = if number.is_multiple_of(ALL_AT_ONCE_EVERY) {
            0..ORGANISATIONS.len()
        } else {
            victim..victim + 1
        };
        // The auditor dies with all the others, and is nobody's voter.
        let killed = if victims.len() == 1 { victims.clone() } else { 0..mesh.nodes().len() };
        let at = Instant::now();
        mesh.nodes_mut()[killed].iter_mut().for_each(|node| node.kill().expect("it is killed"));
        mesh.start().expect("it comes back");
        Kill { victims, at, back_after: at.elapsed() }
    };
    (1..=KILLS).map(kill_next).collect()
}

/// Prints how fast nodes recovered: until they listened, and until a ballot through one of them was final again. A node
/// that was killed once more in between is down from its first kill on.
fn report(kills: &[Kill], cast: &[Cast], agreed_after: Duration) {
    let listening = kills.iter().map(|kill| kill.back_after).collect();
    let final_again = kills.iter().flat_map(|kill| {
        let of_victims = kill.victims.clone().filter_map(|victim| cast.get(victim));
        of_victims.filter_map(|cast| cast.first_after(kill.at))
    });
    println!("from kill to listening: {}", spread(listening));
    println!("from kill to the next final ballot through the node: {}", spread(final_again.collect()));
    println!("all agree {} ms after the last kill's load", agreed_after.as_millis());
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        times.get((times.len().saturating_sub(1)) * percent / 100).map_or(0, Duration::as_millis)
    };
    format!("p50 {} ms, p95 {} ms, longest {} ms ({} times)", at(50), at(95), at(100), times.len())
}

/// Proposal, voter and height of the ballots on the ledger, in order, as the first node shows them.
fn voted(mesh: &ProcessMesh, vote: &OpenVote) -> Vec<(String, String, u64)> {
    let client = mesh.nodes()[0].client();
    let mut ballots = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/proposals/{}/timeline?page_size=500{after}", vote.proposal());
        let page = client.get(&path).expect("the timeline is shown");
        let events = page["items"].as_array().expect("a page has items");
        for event in events.iter().filter(|event| event["type"] == "io.althing.voted") {
            let voter = event["data"]["voter"].as_str().expect("a ballot has a voter").to_owned();
            let height = event["data"]["height"].as_u64().expect("an event has a height");
            ballots.push((vote.proposal().to_owned(), voter, height));
        }
        match page.get("next_page_token").and_then(Value::as_str) {
            Some(token) => after = format!("&page_token={token}"),
            None => return ballots,
        }
    }
}

/// One event for each ballot that was acknowledged, at its height, and no other: voters settle what has no answer.
fn check(cast: &[Cast], events: &[(String, String, u64)]) {
    let mut heights = BTreeMap::new();
    for (proposal, voter, height) in events {
        let doubled = heights.insert((proposal.as_str(), voter.as_str()), *height);
        assert_eq!(doubled, None, "{voter} counted twice on {proposal}");
    }
    for cast in cast {
        assert!(cast.refused.is_none(), "refused: {:?}", cast.refused);
        assert!(!cast.acknowledged.is_empty(), "nothing got through; unanswered: {}", cast.unanswered);
        for ballot in &cast.acknowledged {
            let height = heights.remove(&(ballot.proposal.as_str(), ballot.member.as_str()));
            let height = height.unwrap_or_else(|| panic!("lost: {ballot:?}"));
            assert!(
                ballot.repeated || ballot.height == height,
                "{ballot:?} is on the ledger at height {height}"
            );
        }
    }
    assert!(heights.is_empty(), "ballots that nobody was told of: {heights:?}");
    let unanswered: usize = cast.iter().map(|cast| cast.unanswered).sum();
    println!("{} ballots, {unanswered} times without an answer", events.len());
}
