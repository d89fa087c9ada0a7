//! The timelock cannot be escaped: whatever is decided about delays meanwhile, nothing takes effect before the delay that was in
//! force when it was submitted has passed since it was decided.
#![expect(clippy::arithmetic_side_effects, reason = "counts of a few things, which a test may stop at")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::story::{STAGES, decide_acts, enact_acts, queue, sign, stage};
use crate::{
    act::Act,
    constitution::Track,
    document::ProposalDocument,
    event::Event,
    quantity::{DurationMs, TimeMs},
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, acts, amend, deploy, member, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

const HOUR: DurationMs = DurationMs::from_hours(1);
const TICK: DurationMs = DurationMs::new(1);
const TRACKS: [Track; 3] = [Track::Standard, Track::High, Track::Constitutional];
const SITES: [&[&[&str]]; 3] = [&[&["acme-north"]], &[&["birch-north"]], STAGES];
const ORGS: [&str; 4] = ["acme", "birch", "cedar", "delta"];

/// A world with what was promised about each proposal.
struct Play {
    world: World,
    /// The delay of its track in the rules in force when it was submitted.
    delays: BTreeMap<ProposalId, DurationMs>,
    queued: BTreeMap<ProposalId, TimeMs>,
    versions: u32,
    effects: BTreeMap<&'static str, usize>,
}

impl Play {
    fn new() -> Self {
        let mut world = World::new(4);
        world.pass(TICK);
        let (delays, queued, effects) = Default::default();
        Self { world, delays, queued, versions: 1, effects }
    }

    /// Judges what happened.
    fn note(&mut self, events: &[Event]) {
        for event in events {
            let effect = match event {
                Event::StageChanged { proposal, to: Stage::Queued, .. } => {
                    self.queued.insert(*proposal, self.world.state.time());
                    continue;
                }
                Event::StageChanged { proposal, to: Stage::Canary | Stage::Executed, .. } => {
                    (*proposal, "begun")
                }
                Event::StepClaimed { proposal, undo: false, .. } => (*proposal, "claimed"),
                Event::Amended { proposal, .. } => (*proposal, "amended"),
                Event::Enacted { proposal, .. } => (*proposal, "enacted"),
                _ => continue,
            };
            let (proposal, what) = effect;
            let decided = self.queued.get(&proposal).expect("it was decided before");
            let due = decided.after(self.delays[&proposal]);
            assert!(self.world.state.time() >= due, "{what} before {due}");
            *self.effects.entry(what).or_default() += 1;
        }
    }

    fn call(&mut self, sender: &str, role: Role, call: Call) {
        if let Ok(Applied::New(events)) = self.world.call(sender, role, call) {
            self.note(&events);
        }
    }

    fn pass(&mut self, length: DurationMs) {
        let events = self.world.pass(length.max(TICK));
        self.note(&events);
    }

    fn submit(&mut self, author: &str, document: ProposalDocument) {
        let delay = |world: &World, track| {
            world.state.constitution().tracks.get(&track).map(|parameters| parameters.timelock)
        };
        let track = self.world.state.track_of(&document);
        let Some(delay) = delay(&self.world, track) else { return };
        if let Ok(id) = self.world.submit(author, document) {
            self.delays.insert(id, delay);
        }
    }

    fn pick(&self, pick: u8) -> Option<ProposalId> {
        self.delays.keys().nth(usize::from(pick).checked_rem(self.delays.len())?).copied()
    }

    /// Everybody is for it.
    fn push(&mut self, id: ProposalId) {
        for org in ORGS {
            let author = format!("{org}/author");
            if stage(&self.world, id) == Stage::Review {
                let call = self.world.review_call(id, ReviewVerdict::Approve);
                self.call(&author, Role::Reviewer, call);
            }
        }
        for org in ORGS {
            let call = self.world.vote_call(id, Choice::For);
            self.call(&format!("{org}/author"), Role::Voter, call);
        }
        for _ in 0..8 {
            if !matches!(stage(&self.world, id), Stage::Voting | Stage::Confirming) {
                break;
            }
            let due = self.world.state.proposal(id).and_then(|proposal| proposal.deadline);
            self.pass(due.expect("a vote ends").since(self.world.state.time()));
        }
    }

    fn cosign(&mut self, id: ProposalId) {
        let proposal = self.world.state.proposal(id).expect("it was submitted");
        let (revision, plan_hash) = (proposal.revision, proposal.plan_hash);
        for org in ORGS {
            let call = Call::Cosign { proposal: id, revision, plan_hash };
            self.call(&format!("{org}/guardian"), Role::Guardian, call);
        }
    }

    fn claim(&mut self, id: ProposalId) {
        for org in ORGS {
            for step in 0..3 {
                self.call(&format!("{org}/executor"), Role::Executor, Call::Claim { proposal: id, step });
            }
        }
    }

    fn play(&mut self, (what, a, b): (u8, u8, u8)) -> Option<()> {
        let author = format!("{}/author", ORGS[usize::from(a % 4)]);
        match what % 14 {
            0 | 1 => {
                self.versions += 1;
                let version = self.versions.to_string();
                self.submit(&author, deploy(&version, SITES[usize::from(b % 3)]));
            }
            2 => {
                let track = TRACKS[usize::from(a % 3)];
                let hours = [1, 2, 24, 48, 300][usize::from(b % 5)];
                let rules = self.world.next_rules(|rules| {
                    // Stricter tracks wait no less, so those above move along.
                    for (_, parameters) in rules.tracks.iter_mut().filter(|(at, _)| **at >= track) {
                        parameters.timelock = DurationMs::from_hours(hours);
                    }
                });
                self.submit(&author, amend(rules));
            }
            3 => {
                let id = member(&format!("{}/extra", ORGS[usize::from(b % 4)]));
                let act = Act::SetMember { record: record(&id, 5, &[Role::Voter]), member: id.clone() };
                self.submit(&author, acts(vec![act]));
            }
            4 | 5 => self.pick(a).map(|id| self.push(id))?,
            6 => self.pick(a).map(|id| self.cosign(id))?,
            7 => self.pick(a).map(|id| self.claim(id))?,
            8 => self.pass(DurationMs::from_hours(u64::from(b))),
            _ => {
                // As near to the end of a timelock as can be.
                let id = self.pick(a)?;
                let eta = self.world.state.proposal(id)?.eta?;
                let early = DurationMs::new(u64::from(b % 3));
                self.pass(eta.since(self.world.state.time()).saturating_sub(early));
                self.cosign(id);
                self.claim(id);
            }
        }
        Some(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a09_nothing_takes_effect_before_the_delay_that_it_was_submitted_under(
        attempts in proptest::collection::vec(any::<(u8, u8, u8)>(), 1..120),
    ) {
        let mut play = Play::new();
        for attempt in attempts {
            let _nothing_to_try = play.play(attempt);
        }
    }
}

/// Without this the property could hold because nothing ever takes effect.
#[test]
fn a09_the_random_lives_get_as_far_as_every_effect() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut effects: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..48 {
        let attempts = proptest::collection::vec(any::<(u8, u8, u8)>(), 120).new_tree(&mut runner).unwrap();
        let mut play = Play::new();
        for attempt in attempts.current() {
            let _nothing_to_try = play.play(attempt);
        }
        for (what, times) in play.effects {
            *effects.entry(what).or_default() += times;
        }
    }
    assert_eq!(
        effects.keys().copied().collect::<Vec<_>>(),
        ["amended", "begun", "claimed", "enacted"],
        "{effects:?}"
    );
}

#[test]
fn a09_a_shorter_delay_counts_for_what_is_submitted_under_it_and_for_nothing_before() {
    let mut world = World::new(4);
    world.pass(TICK);
    let shorter = world.next_rules(|rules| {
        for parameters in rules.tracks.values_mut() {
            parameters.timelock = HOUR;
        }
    });
    let (_, events) = enact_acts(&mut world, amend(shorter));
    assert!(events.iter().any(|event| matches!(event, Event::Amended { .. })));
    let quick = queue(&mut world, "3", STAGES);
    let quick = world.state.proposal(quick).unwrap();
    assert_eq!(quick.eta.unwrap().since(quick.stage_since), HOUR);

    let mut world = World::new(4);
    world.pass(TICK);
    let shorter = world.next_rules(|rules| {
        rules.tracks.get_mut(&Track::Constitutional).unwrap().timelock = DurationMs::from_hours(48);
    });
    let first = decide_acts(&mut world, amend(shorter));
    let eta = world.state.proposal(first).unwrap().eta.unwrap();
    assert_eq!(eta.since(world.state.proposal(first).unwrap().stage_since), DurationMs::from_hours(7 * 24));
    sign(&mut world, first);
    world.pass(eta.since(world.state.time()).saturating_sub(TICK));
    assert_eq!(stage(&world, first), Stage::Queued, "its own delay is the one it was submitted under");
    world.pass(TICK);
    assert_eq!(world.state.proposal(first).unwrap().ended.unwrap().stage, Stage::Executed);
}
