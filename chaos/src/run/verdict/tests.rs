use std::time::Instant;

use althing_actors::executor::local::effects::Progress;
use althing_contracts::{
    digest::Digest,
    document::Action,
    name::Name,
    quantity::{Height, Revision},
    stage::Stage,
    transaction::ProposalId,
};
use serde_json::json;

use super::*;
use crate::{
    checker::status::{Caller, Status, Told},
    run::{effects::Effect, evidence::Story},
};

fn ballot(answer: Answer) -> Ballot {
    Ballot { proposal: "p".repeat(8), member: "acme/voter-1".to_owned(), answer }
}

fn story(kinds: &[(&str, Value)]) -> Story {
    let event = |(kind, data): &(&str, Value)| json!({ "type": format!("io.althing.{kind}"), "data": data });
    let action = serde_json::to_value(action("1")).expect("an action is JSON");
    let document = json!({ "stages": [{ "steps": [{ "action": action }] }] });
    Story { events: kinds.iter().map(event).collect(), document }
}

fn evidence(stories: &[(&str, Story)]) -> Evidence {
    let stories = stories.iter().map(|(id, story)| ((*id).to_owned(), story.clone())).collect();
    Evidence {
        stories,
        height: 0,
        bundles: BTreeMap::new(),
        equivocated: BTreeMap::new(),
        findings: Vec::new(),
        effects: Vec::new(),
    }
}

fn action(version: &str) -> Action {
    let name = |text| Name::new(text).expect("a name");
    Action::Deploy { service: name("web"), version: name(version), artefact: Digest::ZERO, instances: 1 }
}

fn effect(key: &str, progress: Progress) -> Effect {
    Effect {
        site: "acme-north".to_owned(),
        key: key.to_owned(),
        fence: 3,
        action: action("1"),
        time_ms: 1,
        progress,
    }
}

fn lived() -> Story {
    let claim = json!({ "step": 0, "fence": 3, "undo": false });
    story(&[
        ("stage-changed", json!({ "to": { "name": "queued" } })),
        ("timelock-elapsed", json!({})),
        ("step-claimed", claim),
    ])
}

#[test]
fn a_ballot_that_is_lost_doubled_or_elsewhere_is_found() {
    let voted = |height: u64| ("voted", json!({ "voter": "acme/voter-1", "height": height }));
    let holds = |events: &[(&str, Value)]| {
        let told = [ballot(Answer::Final { height: 7, repeated: false })];
        ballots(&told, &evidence(&[(&"p".repeat(8), story(events))]), true).holds
    };
    assert!(holds(&[voted(7)]));
    assert!(!holds(&[]), "lost");
    assert!(!holds(&[voted(7), voted(9)]), "doubled");
    assert!(!holds(&[voted(9)]), "elsewhere");
    assert!(!ballots(&[], &evidence(&[]), true).holds, "a whole run without ballots shows nothing");
    assert!(ballots(&[], &evidence(&[]), false).holds);
}

#[test]
fn an_effect_that_is_doubled_is_found() {
    let done = || effect("p/0/do", Progress::Done { facts: BTreeMap::new() });
    assert!(effects::once(&[done()], true).holds);
    assert!(!effects::once(&[done(), done()], false).holds);
    assert!(!effects::once(&[], true).holds, "a whole run without effects shows nothing");
    assert!(effects::once(&[], false).holds);
}

#[test]
fn an_effect_without_approval_timelock_claim_or_plan_is_found() {
    let holds =
        |story: Story, effect: Effect| effects::decided(&[effect], &evidence(&[("p", story)]).stories).holds;
    let sound = || effect("p/0/do", Progress::Begun);
    assert!(holds(lived(), sound()));
    assert!(!holds(story(&[]), sound()), "no claim");
    let mut early = lived();
    early.events.swap(1, 2);
    assert!(!holds(early, sound()), "claimed before the timelock was over");
    let mut unapproved = lived();
    unapproved.events.remove(0);
    assert!(!holds(unapproved, sound()), "never approved");
    assert!(!holds(lived(), Effect { fence: 2, ..sound() }), "another fence");
    assert!(!holds(lived(), Effect { action: action("2"), ..sound() }), "another plan");
    assert!(!holds(lived(), effect("q/0/do", Progress::Begun)), "another proposal");
    assert!(!holds(lived(), effect("p/0/undo", Progress::Begun)), "no claim of an undo");
}

#[test]
fn two_roots_at_one_height_are_found() {
    let seen = |root: &str| vec![Seen { at: Instant::now(), height: 3, state_root: root.to_owned() }];
    let names = ["acme", "birch"].map(str::to_owned);
    let life = Life {
        proposal: String::new(),
        author: String::new(),
        version: String::new(),
        stage: "failed".to_owned(),
        began_ms: 0,
        ended_ms: 1,
    };
    let agree = |roots: [&str; 2]| {
        let seen = roots.map(seen);
        let evidence = evidence(&[]);
        let (troubles, ballots, fallen) = (&[][..], &[][..], &[][..]);
        let findings = Findings {
            names: &names,
            seen: &seen,
            troubles,
            ballots,
            told: &History::default(),
            reads: ReadCounts::default(),
            last_life: None,
            fallen,
            evidence: &evidence,
            is_standing: false,
        };
        agreement(&findings).holds
    };
    assert!(agree(["a", "a"]));
    assert!(!agree(["a", "b"]));
    assert!(!liveness(&life).holds);
    let withdrawn = Life { stage: WITHDRAWN.to_owned(), ..life.clone() };
    assert!(trial(&withdrawn).holds && !trial(&life).holds && !liveness(&withdrawn).holds);
    assert!(!daemons(&names).holds);
}

#[test]
fn only_who_lied_may_have_signed_twice() {
    let names = ["acme", "birch"].map(str::to_owned);
    let lies = |lie| Trouble {
        number: 1,
        kinds: vec![Kind::Lies(lie)],
        broken: Vec::new(),
        nodes: vec![0],
        keeps_quorum: Some(true),
        broken_ms: 0,
        mended_ms: 1,
        blocks_while_stalled: None,
        blocks: 0,
        next_block_ms: None,
        caught_up_ms: None,
        resumed_ms: Vec::new(),
    };
    let holds = |lie, known: &[&str]| {
        let known = known.iter().map(|&org| org.to_owned()).collect();
        let evidence =
            Evidence { equivocated: BTreeMap::from([("birch".to_owned(), known)]), ..evidence(&[]) };
        let findings = Findings {
            names: &names,
            seen: &[],
            troubles: &[lies(lie)],
            ballots: &[],
            told: &History::default(),
            reads: ReadCounts::default(),
            last_life: None,
            fallen: &[],
            evidence: &evidence,
            is_standing: false,
        };
        evidence_of_lies(&findings).holds
    };
    assert!(holds(Lie::DoubleVotes, &["acme"]));
    assert!(!holds(Lie::DoubleVotes, &[]), "nobody noticed");
    assert!(!holds(Lie::DoubleVotes, &["acme", "birch"]), "birch is honest");
    assert!(holds(Lie::NilVotes, &["acme"]), "it had forgotten what it signed before it lied");
    assert!(holds(Lie::NilVotes, &[]));
}

#[test]
fn a_read_that_shows_less_than_its_circle_has_seen_is_found() {
    let id = "7".repeat(64);
    let happened = [
        ("submitted", json!({ "proposal": id, "revision": 1, "height": 3 })),
        ("stage-changed", json!({ "proposal": id, "to": { "name": "review" }, "height": 3 })),
        ("stage-changed", json!({ "proposal": id, "to": { "name": "voting" }, "height": 8 })),
    ];
    let stories = BTreeMap::from([(id.clone(), story(&happened))]);
    let proposal = ProposalId::from_digest(id.parse().expect("a digest"));
    let reads = ReadCounts { asked: 2, answered: 2, ..ReadCounts::default() };
    let holds = |answers: &[(u64, Option<Stage>)]| {
        let mut told = History::default();
        for (height, stage) in answers {
            let call = told.asked(Caller { circle: 0, node: 0 });
            let status = stage.map(|stage| Status { stage, revision: Revision::new(1) });
            told.answered(call, Height::new(*height), Told::Shown(proposal, status));
        }
        status::chronicle(&mut told, &stories, 9);
        status::told(&told, reads, true).holds
    };
    assert!(holds(&[(2, None), (3, Some(Stage::Review)), (9, Some(Stage::Voting))]));
    assert!(!holds(&[(9, Some(Stage::Voting)), (7, Some(Stage::Review))]), "below what was seen");
    assert!(!holds(&[(9, Some(Stage::Review))]), "not what the ledger held");
    assert!(!holds(&[(10, Some(Stage::Voting))]), "above the ledger");
    assert!(!status::told(&History::default(), ReadCounts::default(), true).holds, "no read shows nothing");
}
