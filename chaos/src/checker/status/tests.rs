//! Each rule of the judge by hand, and the judge beside a search through every order.

use althing_contracts::{digest::Digest, quantity::DurationMs, testing::World};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use stateright::semantics::{
    ConsistencyTester, LinearizabilityTester, SequentialConsistencyTester, SequentialSpec,
};

use super::*;

const STAGES: [Stage; 4] = [Stage::Review, Stage::Voting, Stage::Confirming, Stage::Queued];

fn proposal() -> ProposalId {
    ProposalId::from_digest(Digest::of_artefact(b"a proposal"))
}

fn height(number: u64) -> Height {
    Height::new(number)
}

/// At height 1 the proposal comes into review, and each block moves it on.
fn status_at(number: u64) -> Option<Status> {
    let stage = STAGES.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
    Some(Status { stage: *stage, revision: Revision::new(1) })
}

fn shown(number: u64) -> Told {
    Told::Shown(proposal(), status_at(number))
}

/// A ledger whose blocks are known; none is reached yet.
fn history(blocks: u64) -> History {
    let mut history = History::default();
    for number in 1..=blocks {
        let stage = (proposal(), Change::Stage(status_at(number).expect("a stage").stage));
        let edition = (number == 1).then_some((proposal(), Change::Edition(Revision::new(1))));
        history.held(height(number), edition.into_iter().chain([stage]), []);
    }
    history
}

fn reached(blocks: u64, top: u64) -> History {
    let mut history = history(blocks);
    history.reached(height(top));
    history
}

const ALICE: Caller = Caller { circle: 0, node: 0 };
const BOB: Caller = Caller { circle: 0, node: 1 };
const CAROL: Caller = Caller { circle: 1, node: 2 };

/// Asks, and is told at once.
fn read(history: &mut History, caller: Caller, number: u64) {
    let call = history.asked(caller);
    history.answered(call, height(number), shown(number));
}

fn finding(history: &History) -> String {
    let findings = history.judge();
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.into_iter().next().expect("one")
}

#[test]
fn what_moves_on_with_the_ledger_is_sound() {
    let mut history = history(3);
    read(&mut history, ALICE, 0);
    for number in 1..=3 {
        history.reached(height(number));
        read(&mut history, BOB, number);
    }
    assert_eq!(history.judge(), Vec::<String>::new());
    assert_eq!(history.counts(), (4, 4));
}

#[test]
fn calls_at_one_time_may_be_answered_in_any_order() {
    let mut history = reached(2, 2);
    let (slow, quick) = (history.asked(ALICE), history.asked(BOB));
    history.answered(quick, height(2), shown(2));
    history.answered(slow, height(1), shown(1));
    assert_eq!(history.judge(), Vec::<String>::new());
}

#[test]
fn nobody_is_shown_less_than_another_of_its_circle_was_before_it_asked() {
    let mut history = reached(2, 2);
    read(&mut history, ALICE, 2);
    read(&mut history, BOB, 1);
    assert!(finding(&history).ends_with("its circle had been shown 2 before it asked"));
}

#[test]
fn who_shares_with_nobody_may_be_behind_others_and_not_behind_itself() {
    let mut history = reached(2, 2);
    read(&mut history, ALICE, 2);
    read(&mut history, CAROL, 1);
    assert_eq!(history.judge(), Vec::<String>::new());
    read(&mut history, CAROL, 0);
    assert!(finding(&history).contains("circle 1 was shown height 0 by node 2"));
}

#[test]
fn a_height_that_the_ledger_had_not_reached_is_found() {
    let mut history = reached(2, 1);
    read(&mut history, ALICE, 2);
    history.reached(height(2));
    assert!(finding(&history).ends_with("the ledger had only reached 1"));
}

#[test]
fn an_answer_shows_what_the_ledger_held_at_its_height() {
    let mut history = reached(3, 3);
    let call = history.asked(ALICE);
    history.answered(call, height(3), shown(2));
    assert!(
        finding(&history)
            .ends_with("is voting, revision 1 in the answer, and confirming, revision 1 on the ledger")
    );
    let mut history = reached(3, 3);
    let call = history.asked(ALICE);
    history.answered(call, height(3), Told::Shown(proposal(), None));
    assert!(finding(&history).ends_with("is none in the answer, and confirming, revision 1 on the ledger"));
}

#[test]
fn an_edition_counts_from_its_block_on() {
    let mut history = history(1);
    let again =
        [Change::Stage(Stage::Submitted), Change::Edition(Revision::new(2)), Change::Stage(Stage::Review)];
    history.held(height(2), again.map(|change| (proposal(), change)), []);
    history.reached(height(2));
    let call = history.asked(ALICE);
    history.answered(call, height(2), shown(1));
    assert!(finding(&history).contains("review, revision 1 in the answer, and review, revision 2"));
}

#[test]
fn who_was_told_that_a_call_is_final_reads_it_everywhere() {
    let transaction = Digest::of_artefact(b"a transaction");
    let acknowledged = |at: u64| {
        let mut history = history(1);
        let stage = Change::Stage(status_at(2).expect("a stage").stage);
        history.held(height(2), [(proposal(), stage)], [transaction]);
        history.reached(height(2));
        let call = history.asked(ALICE);
        history.answered(call, height(at), Told::Done(Some(transaction)));
        history
    };
    let mut late = acknowledged(2);
    read(&mut late, BOB, 1);
    assert!(finding(&late).contains("its circle had been shown 2"));
    assert!(finding(&acknowledged(1)).contains("no block up to there holds"));
}

#[test]
fn a_call_without_an_answer_says_nothing() {
    let mut history = reached(2, 2);
    let open = history.asked(ALICE);
    read(&mut history, BOB, 1);
    assert_eq!(history.judge(), Vec::<String>::new());
    assert_eq!(history.counts(), (2, 1));
    history.answered(open, height(0), shown(0));
    assert_eq!(history.judge(), Vec::<String>::new());
}

#[test]
fn a_state_says_what_a_block_that_nobody_showed_changed() {
    let mut world = World::new(4);
    let (_, executed) = world.block(DurationMs::new(1_000), &[]);
    let mut history = History::default();
    history.stands(&executed.state);
    history.reached(executed.header.height);
    let call = history.asked(ALICE);
    history.answered(call, executed.header.height, Told::Shown(proposal(), None));
    assert_eq!(history.judge(), Vec::<String>::new());
}

/// The ledger as a sequential object.
#[derive(Debug, Clone)]
struct Register {
    height: Height,
    moves: Moves,
}

#[derive(Debug, Clone, PartialEq)]
enum Op {
    /// A block becomes final.
    Decide(Height),
    Call,
}

#[derive(Debug, Clone, PartialEq)]
enum Ret {
    Decided,
    Told(Height, Told),
}

impl SequentialSpec for Register {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        if let Op::Decide(height) = op {
            self.height = self.height.max(*height);
        }
        Ret::Decided
    }

    fn is_valid_step(&mut self, _: &Op, ret: &Ret) -> bool {
        match ret {
            Ret::Decided => true,
            Ret::Told(height, Told::Shown(proposal, status)) => {
                let moves =
                    self.moves.get(proposal).and_then(|moves| moves.range(..=self.height).next_back());
                self.height == *height && moves.map(|(_, status)| *status) == *status
            }
            // The block that holds it came before.
            Ret::Told(height, Told::Done(_)) => self.height >= *height,
        }
    }
}

/// Threads of a tester: those of the calls, and from here on one for each block. Its decision never returns: it may take
/// effect at any time after it was made somewhere, and not before.
const BLOCKS: usize = 1_000_000;

fn initial(history: &History) -> Register {
    Register { height: Height::ZERO, moves: history.ledger.moves() }
}

/// Has a tester judge the marks of a history; `thread` says whose a call is.
fn holds<T: ConsistencyTester<usize, Register>>(
    mut tester: T,
    marks: &[Mark],
    thread: impl Fn(CallId, Caller) -> usize,
) -> bool {
    let mut threads = Vec::new();
    for mark in marks {
        let taken = match *mark {
            Mark::Reached(height) => {
                let block = BLOCKS + usize::try_from(height.get()).expect("a small number");
                tester.on_invoke(block, Op::Decide(height)).map(drop)
            }
            Mark::Asked(caller) => {
                threads.push(thread(threads.len(), caller));
                tester.on_invoke(threads[threads.len() - 1], Op::Call).map(drop)
            }
            Mark::Answered(call, height, told) => {
                tester.on_return(threads[call], Ret::Told(height, told)).map(drop)
            }
        };
        taken.expect("a thread does one thing at a time");
    }
    tester.is_consistent()
}

/// A call is a thread of its own: real time orders it, and nothing else.
fn is_linearizable(history: &History) -> bool {
    holds(LinearizabilityTester::new(initial(history)), &history.marks, |call, _| call)
}

/// Each client is a thread.
fn is_sequential(history: &History) -> bool {
    holds(SequentialConsistencyTester::new(initial(history)), &history.marks, |_, caller| caller.circle)
}

/// Blocks of a drawn history, and calls; the search through every order takes longer with each.
const DRAWN_BLOCKS: u64 = 3;
const DRAWN_CALLS: usize = 6;

/// Clients that ask one thing at a time and are told anything at all. `circle` says whom a client shares with.
fn drawn(random: &mut StdRng, blocks_first: bool, circle: fn(usize) -> usize) -> History {
    let mut history = history(DRAWN_BLOCKS);
    let mut asked: [Option<CallId>; 3] = [None; 3];
    let (mut top, mut calls) = (0, 0);
    if blocks_first {
        top = DRAWN_BLOCKS;
        (1..=top).for_each(|number| history.reached(height(number)));
    }
    for _ in 0..4 * DRAWN_CALLS {
        let client = random.random_range(0..asked.len());
        if !blocks_first && top < DRAWN_BLOCKS && random.random_bool(0.2) {
            top += 1;
            history.reached(height(top));
        } else if let Some(call) = asked[client].take_if(|_| random.random_bool(0.8)) {
            let is_wild = random.random_bool(0.05);
            let heights = if is_wild { 0..=DRAWN_BLOCKS } else { top.saturating_sub(1)..=top };
            let at = random.random_range(heights);
            let told = match random.random_range(0..20) {
                0..4 => Told::Done(None),
                4 => shown(random.random_range(0..=DRAWN_BLOCKS)),
                _ => shown(at),
            };
            history.answered(call, height(at), told);
        } else if asked[client].is_none() && calls < DRAWN_CALLS {
            asked[client] = Some(history.asked(Caller { circle: circle(client), node: client }));
            calls += 1;
        }
    }
    history
}

/// Draws until both verdicts came up often, and compares.
fn compare(blocks_first: bool, circle: fn(usize) -> usize, holds: impl Fn(&History) -> bool) {
    let mut random = StdRng::seed_from_u64(1);
    let mut verdicts = [0; 2];
    for number in 0..1_000 {
        let history = drawn(&mut random, blocks_first, circle);
        let (findings, expected) = (history.judge(), holds(&history));
        assert_eq!(findings.is_empty(), expected, "history {number}: {findings:?}\n{:#?}", history.marks);
        verdicts[usize::from(expected)] += 1;
    }
    assert!(verdicts.iter().all(|times| *times > 100), "both come up: {verdicts:?}");
}

#[test]
fn clients_of_one_circle_are_judged_as_by_a_search_for_a_linearization() {
    compare(false, |_| 0, is_linearizable);
}

/// When each block was decided is nobody's knowledge who shares with nobody.
#[test]
fn clients_of_their_own_are_judged_as_by_a_search_for_a_sequential_order() {
    compare(true, |client| client, is_sequential);
}
