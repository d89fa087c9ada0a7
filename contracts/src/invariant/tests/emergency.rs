//! G10, seen from two sides: planted violations are noticed by the states of a block, and by the events of a whole history.

use crate::{
    block::Header,
    constitution::Threshold,
    digest::Digest,
    emergency::{Emergency, EmergencyId, EmergencyStage, Measure},
    event::Event,
    invariant::{Invariant, View, check_all},
    quantity::{DurationMs, Fence, Ratio, TimeMs},
    role::Role,
    stage::Stage,
    state::State,
    testing::{World, genesis, member, record, target},
    trail::Historian,
    transaction::{AuditVerdict, Call, ProposalId, Transaction, VerifiedTransaction},
};

const TICK: DurationMs = DurationMs::new(1);

/// One block as it was made, and perhaps broken since.
#[derive(Clone)]
struct Seen {
    before: State,
    after: State,
    header: Header,
    transactions: Vec<VerifiedTransaction>,
    events: Vec<Event>,
}

impl Seen {
    fn view(&self) -> View<'_> {
        let Self { before, after, header, transactions, events } = self;
        View { before, after, header, transactions, events }
    }
}

/// A history in which an emergency is declared, signed, in force, lifted by its time and reverted.
struct History {
    world: World,
    seen: Vec<Seen>,
    id: EmergencyId,
}

/// The blocks of [`History`], by what happens in them.
const DECLARED: usize = 1;
const SIGNED: usize = 2;
const ACTIVE: usize = 3;
const HELD: usize = 4;
const LIFTED: usize = 5;
const REVERTED: usize = 6;
const AFTER: usize = 7;

impl History {
    fn new() -> Self {
        let mut genesis = genesis(4);
        let second = member("birch/second");
        genesis.members.insert(second.clone(), record(&second, 0, &[Role::Guardian]));
        genesis.constitution.emergency.guardians = Threshold::MoreThan(Ratio::ONE_HALF);
        let mut world = World::with(genesis);
        let measures = [
            Measure::PauseTarget { target: target("acme-north") },
            Measure::SuspendExecutor { member: member("birch/executor") },
        ];
        let declaration = world.declaration(&measures);
        let id = EmergencyId::of(world.network(), &declaration);
        let (hour, day) = (DurationMs::from_hours(1), DurationMs::from_hours(72));
        let declare = world.sign("acme/guardian", Role::Guardian, Call::DeclareEmergency { declaration });
        let sign = |world: &World, guardian| {
            world.sign(guardian, Role::Guardian, Call::SignEmergency { emergency: id })
        };
        let mut history = Self { world: world.clone(), seen: Vec::new(), id };
        history.block(TICK, &[]);
        history.block(TICK, &[declare]);
        world = history.world.clone();
        history.block(TICK, &[sign(&world, "birch/guardian")]);
        history.block(TICK, &[sign(&world, "cedar/guardian")]);
        history.block(TICK, &[]);
        history.block(hour, &[]);
        history.block(day, &[]);
        history.block(TICK, &[]);
        history
    }

    fn block(&mut self, later: DurationMs, sent: &[Transaction]) {
        let before = self.world.state.clone();
        let (_, executed) = self.world.block(later, sent);
        assert_eq!(executed.outcomes.len(), sent.len());
        let transactions = sent.iter().map(|transaction| self.world.verify(transaction)).collect();
        let (after, header, events) = (executed.state, executed.header, executed.events);
        self.seen.push(Seen { before, after, header, transactions, events });
    }

    fn proposal(&self) -> ProposalId {
        self.world.state.emergency(self.id).unwrap().activation.unwrap().proposal
    }

    fn claim(&self) -> Event {
        Event::StepClaimed {
            proposal: self.proposal(),
            step: 0,
            target: target("acme-north"),
            executor: member("acme/executor"),
            fence: Fence::new(9),
            undo: false,
        }
    }

    /// What G10 says about one block.
    fn found(&self, index: usize) -> String {
        let found = Invariant::Emergency.check(&self.seen[index].view());
        found.err().map(|violation| violation.to_string()).unwrap_or_default()
    }

    /// What the history's own judge says about G10.
    fn told(&self) -> String {
        let mut judge = Historian::default();
        let found = self.seen.iter().flat_map(|seen| judge.observe(&seen.view()));
        let mut of_emergencies = found.filter(|it| it.invariant == Invariant::Emergency);
        of_emergencies.next().map(|violation| violation.to_string()).unwrap_or_default()
    }

    /// The emergency before and after a block.
    fn tamper(&mut self, index: usize, change: impl Fn(&mut Emergency)) {
        let (id, seen) = (self.id, &mut self.seen[index]);
        for state in [&mut seen.before, &mut seen.after] {
            state.registry_mut().change_emergency(id, &change);
        }
    }

    fn tamper_after(&mut self, index: usize, change: impl FnOnce(&mut Emergency)) {
        self.seen[index].after.registry_mut().change_emergency(self.id, change);
    }
}

/// Plants something into a sound history and looks for it in one block.
fn notices(index: usize, plant: impl FnOnce(&mut History), message: &str) {
    let mut history = History::new();
    plant(&mut history);
    let found = history.found(index);
    assert!(found.starts_with("G10") && found.contains(message), "{message}: {found}");
}

/// Plants something into the events of a sound history.
fn tells(plant: impl FnOnce(&mut History), message: &str) {
    let mut history = History::new();
    plant(&mut history);
    let told = history.told();
    assert!(told.contains(message), "{message}: {told}");
}

fn is_signature(event: &Event) -> bool {
    matches!(event, Event::EmergencySigned { .. })
}

#[test]
fn a_sound_history_breaks_nothing() {
    let history = History::new();
    for seen in &history.seen {
        check_all(&seen.view()).unwrap();
    }
    assert_eq!(history.told(), "");
    let stands = |index: usize| history.seen[index].after.emergency(history.id).map(|it| it.stage);
    assert_eq!(stands(SIGNED), Some(EmergencyStage::Declared));
    assert_eq!(stands(LIFTED), Some(EmergencyStage::Active));
    assert_eq!(stands(REVERTED), Some(EmergencyStage::Reverted));
}

#[test]
fn g10_notices_an_emergency_that_too_few_carry() {
    notices(ACTIVE, |it| it.tamper(ACTIVE, |held| drop(held.signers.pop_last())), "too few guardians");
    notices(ACTIVE, |it| it.tamper(ACTIVE, |held| held.guardians = 6), "too few guardians");
    let suspended = |it: &mut History| {
        let (id, seen) = (it.id, &mut it.seen[ACTIVE]);
        for state in [&mut seen.before, &mut seen.after] {
            state.registry_mut().suspend([member("acme/guardian")].iter(), id);
        }
    };
    notices(ACTIVE, suspended, "too few guardians with power");
    tells(|it| it.seen[SIGNED].events.retain(|event| !is_signature(event)), "is active by 2 guardians");
    let twice = |it: &mut History| {
        let again = it.seen[SIGNED].events.iter().find(|event| is_signature(event)).cloned();
        it.seen[SIGNED].events.extend(again);
    };
    tells(twice, "signs emergency");
    let by_one = |it: &mut History| {
        for event in &mut it.seen[ACTIVE].events {
            if let Event::EmergencySigned { guardian, .. } = event {
                *guardian = member("birch/second");
            }
        }
    };
    tells(by_one, "3 guardians of 2 organisations");
}

#[test]
fn g10_notices_measures_that_last_too_long() {
    let too_long = |held: &mut Emergency| held.rules.ttl_max = TICK;
    notices(ACTIVE, |it| it.tamper(ACTIVE, too_long), "lasts longer than the rules allow");
    let goes_on = |it: &mut History| it.tamper_after(LIFTED, |held| held.lifted = None);
    notices(LIFTED, goes_on, "outlive their end");
    tells(
        |it| it.seen[LIFTED].events.retain(|event| !matches!(event, Event::EmergencyLifted { .. })),
        "outlive their end",
    );
    let longer = |it: &mut History| {
        for event in &mut it.seen[DECLARED].events {
            if let Event::EmergencyDeclared { declaration, .. } = event {
                declaration.expires = declaration.expires.after(DurationMs::from_hours(24));
            }
        }
    };
    tells(longer, "lasts longer than the rules allow");
}

#[test]
fn g10_notices_whatever_was_pinned_and_changes() {
    let changes: [fn(&mut Emergency); 6] = [
        |held| held.rules.organisations = 1,
        |held| held.guardians = 1,
        |held| held.declared_at = held.declared_at.after(TICK),
        |held| drop(held.signers.pop_first()),
        |held| held.activation = None,
        |held| held.lifted = Some(held.declared_at),
    ];
    for (change, index) in changes.into_iter().zip([HELD, HELD, HELD, HELD, HELD, REVERTED]) {
        notices(index, |it| it.tamper_after(index, change), "what was pinned about");
    }
    let otherwise = |held: &mut Emergency| held.declaration.measures.truncate(1);
    notices(HELD, |it| it.tamper(HELD, otherwise), "is not what was declared");
}

#[test]
fn g10_notices_an_emergency_that_nobody_judges_or_that_goes_another_way() {
    let stages = [EmergencyStage::Ratified, EmergencyStage::Reverted];
    for stage in stages {
        notices(
            HELD,
            |it| it.tamper_after(HELD, |held| held.stage = stage),
            "the proposal that judges it is voting",
        );
    }
    let back = |held: &mut Emergency| held.stage = EmergencyStage::Declared;
    notices(HELD, |it| it.tamper_after(HELD, back), "went from active to declared");
    let other = |held: &mut Emergency| {
        if let Some(activation) = &mut held.activation {
            activation.proposal = ProposalId::from_digest(Digest::ZERO);
        }
    };
    notices(HELD, |it| it.tamper(HELD, other), "no proposal judges");
    let on_another_track = |it: &mut History| {
        let proposal = it.proposal();
        it.seen[HELD]
            .after
            .tamper(proposal, |proposal| proposal.track = crate::constitution::Track::Standard);
    };
    notices(HELD, on_another_track, "no proposal judges");
    let lost = |it: &mut History| {
        let id = it.id;
        it.seen[HELD].after.registry_mut().emergencies.remove(&id);
    };
    notices(HELD, lost, "the ledger does not hold emergency");
    let ratified = |it: &mut History| {
        let (emergency, proposal) = (it.id, it.proposal());
        it.seen[REVERTED].events.push(Event::EmergencyRatified { emergency, proposal });
    };
    tells(ratified, "is settled without its vote");
}

#[test]
fn g10_notices_guardians_who_keep_the_power_that_they_lost() {
    let kept = |it: &mut History| {
        let mandate = it.seen[HELD].after.mandate(&member("cedar/guardian")).copied().unwrap();
        it.seen[REVERTED].after.registry_mut().mandates.insert(member("cedar/guardian"), mandate);
    };
    notices(REVERTED, kept, "has power after it");
    let reinstated = |guardian: &'static str| {
        move |it: &mut History| {
            kept(it);
            let (proposal, guardian, until) = (it.proposal(), member(guardian), TimeMs::MAX);
            it.seen[REVERTED].events.push(Event::Reinstated { proposal, guardian, until });
        }
    };
    notices(REVERTED, reinstated("birch/guardian"), "has power after it");
    let mut given_back = History::new();
    reinstated("cedar/guardian")(&mut given_back);
    assert_eq!(given_back.found(REVERTED), "");
    // Powers that are back later are another matter.
    let mut later = History::new();
    let mandate = later.seen[HELD].after.mandate(&member("cedar/guardian")).copied().unwrap();
    later.seen[AFTER].after.registry_mut().mandates.insert(member("cedar/guardian"), mandate);
    let (emergency, auditor) = (later.id, member("acme/auditor"));
    let verdict = AuditVerdict::Sound;
    later.seen[AFTER].events.push(Event::EmergencyAttested { emergency, auditor, verdict });
    assert_eq!(later.found(AFTER), "");
    let fewer = |it: &mut History| {
        for event in &mut it.seen[REVERTED].events {
            if let Event::EmergencyReverted { suspended, .. } = event {
                suspended.pop();
            }
        }
    };
    tells(fewer, "not all who signed");
    let again = |it: &mut History| {
        let mut declared = it.seen[DECLARED].events[0].clone();
        if let Event::EmergencyDeclared { emergency, .. } = &mut declared {
            *emergency = EmergencyId::from_digest(Digest::ZERO);
        }
        it.seen[AFTER].events.push(declared);
    };
    tells(again, "uses a power that ended");
}

#[test]
fn g10_notices_what_goes_on_although_it_is_held_back() {
    let claims = |it: &mut History| {
        let claim = it.claim();
        it.seen[HELD].events.push(claim);
    };
    notices(HELD, claims, "although an emergency holds it back");
    tells(claims, "a step is claimed on acme-north, which is held");
    let acts = |it: &mut History| {
        let resume = Call::Resume { proposal: it.proposal() };
        let sent = it.world.verified("birch/executor", Role::Executor, resume);
        it.seen[HELD].transactions.push(sent);
    };
    notices(HELD, acts, "the executor birch/executor acts");
    tells(acts, "the executor birch/executor acts");
}

#[test]
fn g10_lets_go_on_what_is_held_no_more() {
    let mut history = History::new();
    let claim = history.claim();
    history.seen[LIFTED].events.push(claim);
    assert_eq!((history.found(LIFTED), history.told()), (String::new(), String::new()));
    // What is submitted and refused at once, or is not of this ledger, is no proposal that could be held back.
    let unknown = Event::StageChanged {
        proposal: ProposalId::from_digest(Digest::ZERO),
        from: Stage::Queued,
        to: Stage::Canary,
        cause: crate::testing::line("none"),
    };
    history.seen[HELD].events.push(unknown);
    assert_eq!(history.found(HELD), "");
    let proposal = history.proposal();
    assert_eq!(history.world.state.proposal(proposal).unwrap().stage, Stage::Defeated);
}
