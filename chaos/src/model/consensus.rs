//! Owns the model of consensus: validators that lock as in Tendermint, one of them Byzantine, over two heights with
//! a change of the roster between them.
//!
//! The validators' rules are the model's own, after the paper (Buchman, Kwon, Milosevic 2018, algorithm 1); who is a
//! quorum and which certificate proves a block is decided by the contracts' `Roster`, `is_quorum` and
//! `Certificate::verify` with real signatures. The network is asynchronous: what was said can be heard by anyone at
//! any time after, or never. The Byzantine validator has said everything, to everyone, from the beginning. The
//! product has no change of the roster; what is modelled is one that takes force at a height, known to whoever has
//! decided the height before.

mod committee;

use stateright::{Model, Property};

use self::committee::{Committees, HONEST, VALIDATORS};
use super::{Outcome, Scope, report::MOVES_MAX};

const HEIGHTS: usize = 2;
/// Most rounds of a height.
const ROUNDS_MAX: usize = 3;

/// What a vote or proposal names: one of two blocks of its height.
type Value = u8;

/// Two heights of consensus.
struct Talk {
    committees: Committees,
    /// Rounds of each height, 0 where it is not looked at; one that has not decided after them stays undecided.
    rounds: [usize; HEIGHTS],
}

/// How far a validator is in its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Step {
    Propose,
    Prevote,
    Precommit,
}

/// An honest validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    height: usize,
    round: usize,
    step: Step,
    locked: Option<(Value, usize)>,
    valid: Option<(Value, usize)>,
    decided: [Option<Value>; HEIGHTS],
}

/// A vote: nothing yet, nil, or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Vote {
    #[default]
    None,
    Nil,
    For(Value),
}

/// A value, and the round in which it had a quorum of prevotes, if it had one.
type Proposed = (Value, Option<usize>);

/// Everything that honest validators have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Said {
    proposals: [[Option<Proposed>; ROUNDS_MAX]; HEIGHTS],
    prevotes: [[[Vote; VALIDATORS]; ROUNDS_MAX]; HEIGHTS],
    precommits: [[[Vote; VALIDATORS]; ROUNDS_MAX]; HEIGHTS],
}

impl Said {
    /// Whether a proposal was made, as far as an honest validator can tell.
    fn has_proposal(&self, height: usize, round: usize, proposed: Proposed) -> bool {
        !HONEST[Committees::proposer(height, round)] || self.proposals[height][round] == Some(proposed)
    }

    /// Whether a value was proposed, with whatever round.
    fn has_value(&self, height: usize, round: usize, value: Value) -> bool {
        !HONEST[Committees::proposer(height, round)]
            || self.proposals[height][round].is_some_and(|(proposed, _)| proposed == value)
    }
}

/// The validators and what was said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Mesh {
    nodes: [Node; VALIDATORS],
    said: Said,
}

/// What a validator does next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    /// Proposes a value of its own, unless one is valid.
    Propose(Value),
    /// Answers a proposal with what it names and the earlier round in which that had a polka.
    Hear(Value, Option<usize>),
    /// Gives up waiting in its step.
    TimeOut,
    /// Sees more than two thirds prevote for a value in its round.
    SeePolka(Value),
    /// Sees more than two thirds prevote for nothing.
    SeeNilPolka,
    /// Sees that more than a third is in a later round.
    Skip(usize),
    /// Holds a certificate of a value.
    Decide(Value, usize),
}

pub(super) fn explore(scope: Scope, threads: usize, tell: &mut dyn FnMut(Outcome)) {
    let rounds = match scope {
        Scope::Short => 1,
        Scope::Full => 2,
    };
    let talk = |rounds| Talk { committees: Committees::new(ROUNDS_MAX), rounds };
    let locks = "consensus of one height over several rounds, with one Byzantine validator";
    tell(Outcome::of(locks, talk([rounds.max(2), 0]), threads, MOVES_MAX));
    let change = "consensus of two heights with a change of the roster, with one Byzantine validator";
    tell(Outcome::of(change, talk([1, 1]), threads, MOVES_MAX));
}

impl Node {
    const fn new(height: usize) -> Self {
        Self { height, round: 0, step: Step::Propose, locked: None, valid: None, decided: [None; HEIGHTS] }
    }
}

impl Talk {
    /// Whether those who said it, with the Byzantine validator, are more than two thirds of the height's weight.
    fn is_polka(&self, height: usize, votes: &[Vote; VALIDATORS], is: impl Fn(Vote) -> bool) -> bool {
        self.committees.is_quorum(height, |validator| is(votes[validator]))
    }

    fn act(&self, mesh: &Mesh, by: usize, act: Act) -> Option<Mesh> {
        let mut next = mesh.clone();
        let Mesh { nodes, said } = &mut next;
        let node = &mut nodes[by];
        let (height, round) = (node.height, node.round);
        let prevotes = &mesh.said.prevotes[height];
        match act {
            Act::Propose(value) => {
                let mine = Committees::proposer(height, round) == by && node.step == Step::Propose;
                if !mine || said.proposals[height][round].is_some() {
                    return None;
                }
                let proposal = match node.valid {
                    Some((valid, _)) if valid != value => return None,
                    Some((valid, polka)) => (valid, Some(polka)),
                    None => (value, None),
                };
                said.proposals[height][round] = Some(proposal);
            }
            Act::Hear(value, polka) => {
                if node.step != Step::Propose || !said.has_proposal(height, round, (value, polka)) {
                    return None;
                }
                let free = match polka {
                    None => node.locked.is_none_or(|(locked, _)| locked == value),
                    Some(polka) => {
                        let seen = self.is_polka(height, &prevotes[polka], |vote| vote == Vote::For(value));
                        if !seen {
                            return None;
                        }
                        node.locked.is_none_or(|(locked, since)| since <= polka || locked == value)
                    }
                };
                said.prevotes[height][round][by] = if free { Vote::For(value) } else { Vote::Nil };
                node.step = Step::Prevote;
            }
            Act::TimeOut => self.time_out(node, said, by)?,
            Act::SeePolka(value) => {
                let seen = node.step >= Step::Prevote
                    && said.has_value(height, round, value)
                    && self.is_polka(height, &prevotes[round], |vote| vote == Vote::For(value));
                if !seen || node.valid == Some((value, round)) {
                    return None;
                }
                if node.step == Step::Prevote {
                    node.locked = Some((value, round));
                    said.precommits[height][round][by] = Vote::For(value);
                    node.step = Step::Precommit;
                }
                node.valid = Some((value, round));
            }
            Act::SeeNilPolka => {
                let nil = self.is_polka(height, &prevotes[round], |vote| vote == Vote::Nil);
                if node.step != Step::Prevote || !nil {
                    return None;
                }
                said.precommits[height][round][by] = Vote::Nil;
                node.step = Step::Precommit;
            }
            Act::Skip(to) => {
                let spoke = |validator: usize| {
                    said.prevotes[height][to][validator] != Vote::None
                        || said.precommits[height][to][validator] != Vote::None
                };
                if to <= round || !self.committees.is_third(height, spoke) {
                    return None;
                }
                (node.round, node.step) = (to, Step::Propose);
            }
            Act::Decide(value, in_round) => {
                let precommits = &said.precommits[height][in_round];
                let signed = |validator: usize| precommits[validator] == Vote::For(value);
                let proven = said.has_value(height, in_round, value)
                    && self.committees.is_certified(height, in_round, value, signed);
                if !proven {
                    return None;
                }
                let decided = node.decided;
                *node = Node::new((height + 1).min(HEIGHTS - 1));
                node.decided = decided;
                node.decided[height] = Some(value);
            }
        }
        Some(next)
    }

    fn time_out(&self, node: &mut Node, said: &mut Said, by: usize) -> Option<()> {
        let (height, round) = (node.height, node.round);
        match node.step {
            Step::Propose => {
                said.prevotes[height][round][by] = Vote::Nil;
                node.step = Step::Prevote;
            }
            Step::Prevote => {
                let any = self.is_polka(height, &said.prevotes[height][round], |vote| vote != Vote::None);
                any.then_some(())?;
                said.precommits[height][round][by] = Vote::Nil;
                node.step = Step::Precommit;
            }
            Step::Precommit => {
                let any = self.is_polka(height, &said.precommits[height][round], |vote| vote != Vote::None);
                (any && round + 1 < self.rounds[height]).then_some(())?;
                (node.round, node.step) = (round + 1, Step::Propose);
            }
        }
        Some(())
    }

    /// Whether a validator of the height has anything left to do.
    fn is_at_work(&self, mesh: &Mesh, by: usize) -> bool {
        let node = &mesh.nodes[by];
        HONEST[by] && node.decided[node.height].is_none() && self.committees.is_member(node.height, by)
    }

    fn certified(&self, mesh: &Mesh, height: usize) -> [bool; 2] {
        let rounds = 0..self.rounds[height];
        [0, 1]
            .map(|value: Value| rounds.clone().any(|round| self.is_certified_in(mesh, height, round, value)))
    }

    fn is_certified_in(&self, mesh: &Mesh, height: usize, round: usize, value: Value) -> bool {
        let precommits = &mesh.said.precommits[height][round];
        self.committees
            .is_certified(height, round, value, |validator| precommits[validator] == Vote::For(value))
    }
}

impl Model for Talk {
    type State = Mesh;
    type Action = (usize, Act);

    fn init_states(&self) -> Vec<Mesh> {
        vec![Mesh { nodes: [Node::new(0); VALIDATORS], said: Said::default() }]
    }

    fn actions(&self, mesh: &Mesh, actions: &mut Vec<Self::Action>) {
        for by in (0..VALIDATORS).filter(|by| HONEST[*by]) {
            let height = mesh.nodes[by].height;
            // A newcomer follows the height before it from outside.
            let member = self.committees.is_member(height, by);
            for value in [0, 1] {
                actions.extend((0..self.rounds[height]).map(|round| (by, Act::Decide(value, round))));
            }
            if !member || !self.is_at_work(mesh, by) {
                continue;
            }
            for value in [0, 1] {
                actions.extend([(by, Act::Propose(value)), (by, Act::SeePolka(value))]);
                let earlier = (0..mesh.nodes[by].round).map(Some);
                actions.extend(earlier.chain([None]).map(|polka| (by, Act::Hear(value, polka))));
            }
            actions.extend([(by, Act::TimeOut), (by, Act::SeeNilPolka)]);
            actions.extend((0..self.rounds[height]).map(|round| (by, Act::Skip(round))));
        }
    }

    fn next_state(&self, mesh: &Mesh, (by, act): Self::Action) -> Option<Mesh> {
        let node = &mesh.nodes[by];
        let over = node.decided[node.height].is_some() || self.rounds[node.height] == 0;
        let next = if over { None } else { self.act(mesh, by, act) };
        next.filter(|next| next != mesh)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("no two honest validators decide differently", |_: &Self, mesh: &Mesh| {
                (0..HEIGHTS).all(|height| {
                    let decided = mesh.nodes.iter().filter_map(|node| node.decided[height]);
                    let decided: Vec<Value> = decided.collect();
                    decided.windows(2).all(|pair| pair[0] == pair[1])
                })
            }),
            Property::always("no height has certificates of two blocks", |talk: &Self, mesh: &Mesh| {
                (0..HEIGHTS).all(|height| talk.certified(mesh, height) != [true, true])
            }),
            Property::always("nobody decides a height of whose roster it cannot know", |_, mesh: &Mesh| {
                mesh.nodes.iter().all(|node| node.decided[1].is_none() || node.decided[0].is_some())
            }),
        ];
        if self.rounds[0] > 1 {
            properties.push(Property::sometimes("a lock is changed", |_, mesh: &Mesh| {
                mesh.nodes.iter().any(|node| node.locked.is_some_and(|(_, round)| round > 0))
            }));
            properties.push(Property::sometimes("a later round decides", |talk: &Self, mesh: &Mesh| {
                let late = |value| talk.is_certified_in(mesh, 0, 1, value);
                mesh.nodes.iter().any(|node| node.decided[0].is_some()) && (late(0) || late(1))
            }));
        }
        if self.rounds[1] > 0 {
            properties.push(Property::sometimes(
                "every honest validator decides both heights",
                |_, mesh: &Mesh| {
                    let honest = (0..VALIDATORS).filter(|validator| HONEST[*validator]);
                    honest.map(|validator| &mesh.nodes[validator]).all(|node| node.decided[1].is_some())
                },
            ));
            let name = "who is a quorum of the old roster is none of the new one";
            properties.push(Property::sometimes(name, |talk: &Self, mesh: &Mesh| {
                (0..talk.rounds[1]).any(|round| {
                    let precommits = &mesh.said.precommits[1][round];
                    let signed = |validator: usize| precommits[validator] == Vote::For(0);
                    talk.committees.is_quorum(0, signed) && !talk.committees.is_quorum(1, signed)
                })
            }));
        }
        properties
    }
}
