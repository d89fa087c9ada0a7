use std::path::Path;

use althing_contracts::{
    constitution::Track,
    event::Event,
    ledger,
    quantity::DurationMs,
    testing::{TestKey, deploy, member},
};

use super::*;
use crate::{auditor::story::Story, journal::Shelf};

fn config(directory: &Path) -> AuditorConfig {
    AuditorConfig { member: Some(member("acme/auditor")), shelf: Shelf::directory(directory.to_owned()) }
}

fn open(directory: &Path, story: &Story) -> AuditorState {
    AuditorState::open(&config(directory), &story.world.genesis).unwrap()
}

fn names(state: &mut AuditorState) -> Vec<&'static str> {
    state.take_raised().iter().map(Alarm::name).collect()
}

/// Two ledgers of one network that part at height 2.
fn fork() -> (Story, Story) {
    let mut story = Story::new();
    story.submitted(deploy("v2", &[&["acme-north"]]));
    let mut other = story.clone();
    story.block(DurationMs::new(5), &[]);
    other.block(DurationMs::new(6), &[]);
    (story, other)
}

#[test]
fn a_whole_ledger_is_reapplied_to_the_same_state_and_witnessed() {
    let directory = tempfile::tempdir().unwrap();
    let story = Story::of_every_end();
    let mut state = open(directory.path(), &story);
    assert_eq!(state.apply(&story.blocks).unwrap(), story.blocks.len());
    state.compare(&story.view()).unwrap();
    let status = state.status();
    assert_eq!(status.height, Height::new(story.blocks.len() as u64));
    assert_eq!(status.witnessed, status.height);
    assert_eq!(status.state_root, story.world.state.clone().root());
    assert_eq!((status.alarms, status.sound), (0, true));
    assert_eq!(state.due(&BTreeSet::new()), [], "every finished proposal of the story was attested");
}

#[test]
fn a_finished_proposal_is_owed_until_the_ledger_shows_the_attestation_after_a_restart_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = Story::new();
    let id = story.executed("v2");
    let mut state = open(directory.path(), &story);
    state.apply(&story.blocks).unwrap();
    let owed = state.due(&BTreeSet::new());
    assert!(
        matches!(&owed[..], [(Subject::Proposal(of), Call::Attest { verdict: AuditVerdict::Sound, .. })] if *of == id)
    );
    assert_eq!(
        state.due(&BTreeSet::from([Subject::Proposal(id)])),
        [],
        "what is in flight is not sent twice"
    );
    drop(state);
    let mut state = open(directory.path(), &story);
    state.apply(&story.blocks).unwrap();
    assert_eq!(state.due(&BTreeSet::new()), owed, "nothing is forgotten by a crash");
    story.audit(id, AuditVerdict::Sound);
    state.apply(&story.blocks[owed_height(&state)..]).unwrap();
    assert_eq!(state.due(&BTreeSet::new()), []);
    drop(state);
    let mut state = open(directory.path(), &story);
    state.apply(&story.blocks).unwrap();
    assert_eq!(state.due(&BTreeSet::new()), [], "nothing is attested twice after a crash");
}

fn owed_height(state: &AuditorState) -> usize {
    usize::try_from(state.status().height.get()).unwrap()
}

#[test]
fn a28_a_rewritten_history_is_found_although_its_certificates_verify() {
    let directory = tempfile::tempdir().unwrap();
    let (story, other) = fork();
    let mut state = open(directory.path(), &story);
    state.apply(&story.blocks).unwrap();
    drop(state);
    let mut state = open(directory.path(), &other);
    assert_eq!(state.apply(&other.blocks).unwrap(), 1, "height 1 is the same");
    assert_eq!(names(&mut state), ["history_rewritten"]);
    assert!(!state.status().sound);
    assert_eq!(state.apply(&other.blocks[1..]).unwrap(), 0, "nothing after it means anything");
    drop(state);
    let state = open(directory.path(), &story);
    assert_eq!(state.alarms().len(), 1, "the alarm outlives the process");
}

#[test]
fn a28_a_ledger_that_ends_before_what_was_witnessed_is_noticed_once() {
    let directory = tempfile::tempdir().unwrap();
    let story = Story::of_every_end();
    let mut state = open(directory.path(), &story);
    state.apply(&story.blocks).unwrap();
    drop(state);
    let (short, _) = fork();
    let mut state = open(directory.path(), &story);
    state.compare(&short.view()).unwrap();
    state.compare(&short.view()).unwrap();
    assert_eq!(names(&mut state), ["history_shortened"]);
}

#[test]
fn a_certified_block_with_a_wrong_root_stops_the_auditor_with_an_alarm() {
    let directory = tempfile::tempdir().unwrap();
    let (mut story, _) = fork();
    story.forge(1, |header, _| header.state_root = Digest::ZERO);
    let mut state = open(directory.path(), &story);
    assert_eq!(state.apply(&story.blocks).unwrap(), 1);
    let alarm = state.take_raised().remove(0);
    assert_eq!(
        alarm.to_string(),
        "invalid_block: height 2: the block does not follow from the rules: the header's state_root is not what \
         executing the block yields"
    );
    assert_eq!(state.status().witnessed, Height::new(1));
}

#[test]
fn a_node_whose_state_differs_from_its_certified_root_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let (story, _) = fork();
    let mut state = open(directory.path(), &story);
    state.apply(&story.blocks).unwrap();
    let mut drifted = story.clone();
    drifted.world.pass(DurationMs::new(1));
    state.compare(&LedgerView { state: drifted.world.state, ..story.view() }).unwrap();
    assert_eq!(names(&mut state), ["state_differs"]);
}

/// Applies all blocks, the last one with a changed account of what happened in it.
fn apply_tampered(state: &mut AuditorState, story: &Story, change: impl FnOnce(&mut Replayed)) {
    let (last, first) = story.blocks.split_last().unwrap();
    state.apply(first).unwrap();
    let before = state.replay.state().clone();
    let mut replayed = state.replay.apply(last).unwrap();
    change(&mut replayed);
    state.judge(&before, &replayed).unwrap();
}

#[test]
fn a_proposal_whose_history_breaks_an_invariant_is_attested_unsound() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = Story::new();
    let id = story.executed("v2");
    let mut state = open(directory.path(), &story);
    apply_tampered(&mut state, &story, |last| {
        last.events.retain(|event| !matches!(event, Event::HealthAttested { .. }));
        last.header.events_root = ledger::events_root(&last.events);
    });
    let [(subject, Call::Attest { verdict: AuditVerdict::Unsound { finding }, .. })] =
        &state.due(&BTreeSet::new())[..]
    else {
        panic!("the finished proposal is owed a verdict");
    };
    assert_eq!(*subject, Subject::Proposal(id));
    assert!(finding.as_str().starts_with("G11 does not hold at height "), "{finding}");
    assert!(names(&mut state).contains(&"invariant_violated"));
}

#[test]
fn a_ledger_that_breaks_an_invariant_by_itself_is_vouched_for_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = Story::new();
    story.executed("v2");
    let mut state = open(directory.path(), &story);
    apply_tampered(&mut state, &story, |last| last.transactions.extend(last.transactions.clone()));
    assert!(!state.status().sound);
    assert_eq!(state.due(&BTreeSet::new()), []);
}

#[test]
fn a_split_view_is_found_whichever_side_comes_first() {
    let (story, other) = fork();
    let shown = other.blocks[1].certificate.clone();
    for peer_first in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let mut state = open(directory.path(), &story);
        if peer_first {
            assert_eq!(state.observe(shown.clone()).unwrap(), Observed::Agrees);
        }
        state.apply(&story.blocks).unwrap();
        let own = story.blocks[1].certificate.clone();
        assert!(state.observe(own).is_ok());
        if !peer_first {
            assert!(matches!(state.observe(shown.clone()).unwrap(), Observed::Split(_)));
        }
        assert_eq!(names(&mut state), ["split_view"], "peer first: {peer_first}");
        let text = state.alarms()[0].to_string();
        assert!(text.ends_with("are both certified at height 2; 4 validators signed both"), "{text}");
        assert_eq!(state.due(&BTreeSet::new()), []);
    }
}

#[test]
fn a_head_that_proves_nothing_is_refused_and_raises_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (story, other) = fork();
    let mut state = open(directory.path(), &story);
    state.apply(&story.blocks).unwrap();
    let mut forged = other.blocks[1].certificate.clone();
    let (key, _) = forged.precommits.pop_first().unwrap();
    forged.precommits.insert(
        key,
        TestKey::of("mallory").sign(
            story
                .world
                .verified(
                    "acme/author",
                    althing_contracts::role::Role::Author,
                    Call::Resume { proposal: ProposalId::from_digest(Digest::ZERO) },
                )
                .body()
                .signing_message(Digest::ZERO),
        ),
    );
    assert!(matches!(
        state.observe(forged),
        Err(ObserveError::Certificate(CertificateError::Signature { .. }))
    ));
    assert_eq!(names(&mut state), Vec::<&str>::new());
    assert!(state.status().sound);
}

#[test]
fn an_emergency_that_was_used_is_owed_an_attestation_and_one_that_lapsed_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = Story::new();
    let used = story.emergency(Track::High, &["acme/guardian", "birch/guardian", "cedar/guardian"]);
    story.emergency(Track::Standard, &["delta/guardian"]);
    let mut state = open(directory.path(), &story);
    state.apply(&story.blocks).unwrap();
    let owed = state.due(&BTreeSet::new());
    let of_used = owed.iter().filter(|(subject, _)| matches!(subject, Subject::Emergency(_)));
    let [(subject, Call::AttestEmergency { verdict: AuditVerdict::Sound, .. })] =
        &of_used.collect::<Vec<_>>()[..]
    else {
        panic!("one emergency is owed a verdict: {owed:?}");
    };
    assert_eq!(*subject, Subject::Emergency(used));
    let in_flight = state.due(&BTreeSet::from([*subject]));
    assert!(!in_flight.iter().any(|(subject, _)| *subject == Subject::Emergency(used)));
}
