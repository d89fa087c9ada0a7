//! Owns what happens when: episodes drawn from the seed, each breaking something for a while, with calm between them. The
//! same seed, faults and mesh draw the same episodes; how the mesh takes them is up to the machine.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde::Serialize;

use super::{fault::Kind, mix::Mix};
use crate::{
    failpoint::{self, Point},
    host::switch::Link,
    lie::Lie,
};

/// Time that a thing stays broken.
const BROKEN_MS: std::ops::RangeInclusive<u64> = 2_500..=7_000;
/// The same when no machine has power: nothing happens meanwhile, so the next cut may come sooner.
const DARK_MS: std::ops::RangeInclusive<u64> = 100..=500;
/// Time between two episodes, after the mesh has recovered.
const CALM_MS: std::ops::RangeInclusive<u64> = 500..=2_000;
/// How far clocks jump.
const CLOCK_JUMP_S: std::ops::RangeInclusive<i64> = 2..=300;
/// Which of its calls of one kind a daemon is hit at: from its first steps to the middle of its work.
const CALL: std::ops::RangeInclusive<u32> = 1..=40;
/// Calls that make something last.
const LASTING_CALLS: [&str; 6] =
    ["fdatasync", "fsync", "?rename,renameat,renameat2", "ftruncate", "?unlink,unlinkat", "fallocate"];

/// Nodes by their index in the mesh.
pub type Nodes = Vec<usize>;

/// Something that is broken, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Action {
    /// Daemons are killed; they are started again at the end.
    Kill {
        /// Which.
        nodes: Nodes,
    },
    /// Daemons are stopped.
    Stop {
        /// Which.
        nodes: Nodes,
    },
    /// Daemons and their services are frozen.
    Freeze {
        /// Which.
        nodes: Nodes,
    },
    /// Only nodes of one part reach each other.
    Cut {
        /// The parts.
        parts: Vec<Nodes>,
    },
    /// Nothing gets from these nodes to the others.
    OneWay {
        /// From whom.
        from: Nodes,
        /// To whom.
        to: Nodes,
    },
    /// The links of these nodes are not sound.
    Bad {
        /// Whose.
        nodes: Nodes,
        /// In which way.
        link: Link,
    },
    /// The clock of a node is off.
    Clock {
        /// Whose.
        node: usize,
        /// By how much.
        seconds: i64,
    },
    /// The disk of a node is filled to the last block.
    Fill {
        /// Whose.
        node: usize,
    },
    /// A daemon is started again under a tracer that tampers with its system calls.
    Tamper {
        /// Whose.
        node: usize,
        /// With which calls, and how, as strace takes it.
        inject: String,
    },
    /// A daemon is started again, armed to be killed at a failpoint.
    KillAtPoint {
        /// Whose.
        node: usize,
        /// Which.
        point: &'static Point,
    },
    /// A liar takes the place of a validator, whose daemon is down meanwhile.
    Lie {
        /// Whose.
        node: usize,
        /// What it does.
        lie: Lie,
        /// What its choices are drawn from.
        seed: u64,
    },
    /// Machines lose their power; it comes back at the end.
    PowerCut {
        /// Whose.
        nodes: Nodes,
    },
}

/// Things that are broken at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Episode {
    /// Counted from 1.
    pub number: usize,
    /// What it draws from.
    pub kinds: Vec<Kind>,
    /// What is broken.
    pub actions: Vec<Action>,
    /// For how long.
    pub broken: Duration,
    /// Time before it.
    pub calm: Duration,
}

/// Draws episodes.
#[derive(Debug)]
pub struct Schedule {
    random: StdRng,
    mixes: Vec<Mix>,
    validators: usize,
    nodes: usize,
    drawn: usize,
    bag: Vec<Mix>,
}

impl Schedule {
    /// Draws from `mixes`, each of one kind or more, for a mesh of which the first `validators` decide.
    ///
    /// # Panics
    /// There are no mixes.
    #[must_use]
    pub fn new(seed: u64, mixes: Vec<Mix>, validators: usize, nodes: usize) -> Self {
        assert!(!mixes.is_empty(), "there is something to draw from");
        let random = StdRng::seed_from_u64(seed);
        Self { random, mixes, validators, nodes, drawn: 0, bag: Vec::new() }
    }

    /// The next episode; every mix comes up before one comes again.
    ///
    /// # Panics
    /// Never: a bag that is filled is not empty.
    pub fn draw(&mut self) -> Episode {
        self.drawn += 1;
        if self.bag.is_empty() {
            self.bag.clone_from(&self.mixes);
            self.bag.shuffle(&mut self.random);
        }
        let kinds = self.bag.pop().expect("the bag was filled").to_vec();
        let actions = kinds.iter().map(|kind| self.action(*kind)).collect();
        let is_dark = kinds == [Kind::PowerCutAll];
        let broken = self.random.random_range(if is_dark { DARK_MS } else { BROKEN_MS });
        let broken = Duration::from_millis(broken);
        let calm = Duration::from_millis(self.random.random_range(CALM_MS));
        Episode { number: self.drawn, kinds, actions, broken, calm }
    }

    fn action(&mut self, kind: Kind) -> Action {
        match kind {
            Kind::KillOne => Action::Kill { nodes: self.some(1) },
            Kind::KillMany => Action::Kill { nodes: self.too_many() },
            Kind::KillAll => Action::Kill { nodes: (0..self.nodes).collect() },
            Kind::KillAtPoint => {
                let points: Vec<_> = failpoint::at_work().collect();
                Action::KillAtPoint {
                    node: self.one(),
                    point: points[self.random.random_range(0..points.len())],
                }
            }
            Kind::Stop => Action::Stop { nodes: self.some(1) },
            Kind::StopMany => Action::Stop { nodes: self.too_many() },
            Kind::Freeze => Action::Freeze { nodes: self.some(1) },
            Kind::CutOne => {
                let one = self.some(1);
                Action::Cut { parts: vec![self.without(&one), one] }
            }
            Kind::CutHalves => self.cut(2),
            Kind::CutThree => self.cut(3),
            Kind::Deaf => {
                let to = self.some(1);
                Action::OneWay { from: self.without(&to), to }
            }
            Kind::Mute => {
                let from = self.some(1);
                Action::OneWay { to: self.without(&from), from }
            }
            Kind::Slow => self.bad(Link { delay_ms: 150, jitter_ms: 350, ..Link::default() }),
            Kind::Lossy => self.bad(Link {
                loss_percent: 15,
                duplicate_percent: 10,
                reorder_percent: 20,
                delay_ms: 5,
                jitter_ms: 10,
                ..Link::default()
            }),
            Kind::Corrupt => self.bad(Link { corrupt_percent: 20, ..Link::default() }),
            Kind::Narrow => {
                let link = Link { rate_bytes: 20_000, ..Link::default() };
                Action::Bad { nodes: self.some(1), link }
            }
            Kind::ClockAhead => {
                Action::Clock { node: self.one(), seconds: self.random.random_range(CLOCK_JUMP_S) }
            }
            Kind::ClockBehind => {
                Action::Clock { node: self.one(), seconds: -self.random.random_range(CLOCK_JUMP_S) }
            }
            Kind::PowerCut => Action::PowerCut { nodes: self.some(1) },
            Kind::PowerCutAll => Action::PowerCut { nodes: (0..self.nodes).collect() },
            Kind::DiskFull => Action::Fill { node: self.one() },
            Kind::SyncFails => {
                let inject = format!("fsync,fdatasync:error=EIO:when={}", self.random.random_range(CALL));
                Action::Tamper { node: self.one(), inject }
            }
            Kind::SyncSlow => {
                Action::Tamper { node: self.one(), inject: "fsync,fdatasync:delay_enter=200000".to_owned() }
            }
            Kind::KillAtCall => {
                let call = LASTING_CALLS[self.random.random_range(0..LASTING_CALLS.len())];
                let inject = format!("{call}:signal=KILL:when={}", self.random.random_range(CALL));
                Action::Tamper { node: self.one(), inject }
            }
            Kind::Lies(lie) => Action::Lie { node: self.one(), lie, seed: self.random.random() },
        }
    }

    fn bad(&self, link: Link) -> Action {
        Action::Bad { nodes: (0..self.nodes).collect(), link }
    }

    fn one(&mut self) -> usize {
        self.random.random_range(0..self.validators)
    }

    /// Some validators, in order.
    fn some(&mut self, count: usize) -> Nodes {
        let mut all: Nodes = (0..self.validators).collect();
        all.shuffle(&mut self.random);
        all.truncate(count);
        all.sort_unstable();
        all
    }

    /// One more than the mesh can lose.
    fn too_many(&mut self) -> Nodes {
        self.some(faulty_max(self.validators) + 1)
    }

    fn without(&self, some: &[usize]) -> Nodes {
        (0..self.nodes).filter(|node| !some.contains(node)).collect()
    }

    /// Parts of which none can decide, where there are enough nodes for that; observers are somewhere.
    fn cut(&mut self, parts: usize) -> Action {
        let mut all = self.some(self.validators);
        all.shuffle(&mut self.random);
        let mut cut = vec![Nodes::new(); parts];
        for (at, node) in all.into_iter().enumerate() {
            cut[at % parts].push(node);
        }
        for observer in self.validators..self.nodes {
            let part = self.random.random_range(0..parts);
            cut[part].push(observer);
        }
        for part in &mut cut {
            part.sort_unstable();
        }
        Action::Cut { parts: cut }
    }
}

impl Action {
    /// The nodes that suffer.
    #[must_use]
    pub fn nodes(&self) -> Nodes {
        match self {
            Self::Kill { nodes }
            | Self::Stop { nodes }
            | Self::Freeze { nodes }
            | Self::Bad { nodes, .. }
            | Self::PowerCut { nodes } => nodes.clone(),
            Self::Clock { node, .. }
            | Self::Lie { node, .. }
            | Self::Fill { node }
            | Self::KillAtPoint { node, .. }
            | Self::Tamper { node, .. } => vec![*node],
            Self::OneWay { from, to } => if from.len() < to.len() { from } else { to }.clone(),
            Self::Cut { parts } => {
                // The largest part is the mesh; the others are cut off from it.
                let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
                let is_mesh = |part: &&Nodes| part.len() == largest;
                let mesh =
                    parts.iter().position(|part| is_mesh(&part) && parts.iter().filter(is_mesh).count() == 1);
                let cut = parts.iter().enumerate().filter(|(at, _)| Some(*at) != mesh);
                cut.flat_map(|(_, part)| part.clone()).collect()
            }
        }
    }

    /// What it does, with the nodes' names.
    #[must_use]
    pub fn describe(&self, all: &[String]) -> String {
        let named = |nodes: &[usize]| {
            let known = nodes.iter().filter_map(|node| all.get(*node)).map(String::as_str);
            if nodes.len() == all.len() { "all".to_owned() } else { known.collect::<Vec<_>>().join(", ") }
        };
        match self {
            Self::Kill { nodes } => format!("kill -9 {}", named(nodes)),
            Self::Stop { nodes } => format!("SIGSTOP {}", named(nodes)),
            Self::Freeze { nodes } => format!("freeze {}", named(nodes)),
            Self::Cut { parts } => {
                format!("cut {}", parts.iter().map(|part| named(part)).collect::<Vec<_>>().join(" | "))
            }
            Self::OneWay { from, to } => format!("nothing from {} to {}", named(from), named(to)),
            Self::Bad { nodes, link } => format!("{} at {}", link_text(link), named(nodes)),
            Self::Clock { node, seconds } => format!("clock of {} {seconds:+} s", named(&[*node])),
            Self::Fill { node } => format!("full disk of {}", named(&[*node])),
            Self::Tamper { node, inject } => format!("{inject} of {}", named(&[*node])),
            Self::KillAtPoint { node, point } => format!("failpoint {} of {}", point.name, named(&[*node])),
            Self::Lie { node, lie, .. } => format!("{} lies: {lie}", named(&[*node])),
            Self::PowerCut { nodes } => format!("power cut {}", named(nodes)),
        }
    }
}

impl Episode {
    /// Whether more than two thirds of the validators are up and reach each other; `None` where that depends on the dice.
    #[must_use]
    pub fn keeps_quorum(&self, validators: usize) -> Option<bool> {
        let mut parts = vec![(0..validators).collect::<Nodes>()];
        let mut unsure = false;
        for action in &self.actions {
            match action {
                Action::Kill { nodes }
                | Action::Stop { nodes }
                | Action::Freeze { nodes }
                | Action::PowerCut { nodes } => {
                    for part in &mut parts {
                        part.retain(|node| !nodes.contains(node));
                    }
                }
                Action::Cut { parts: cut } => {
                    let pieces = |part: &Nodes| {
                        let piece =
                            |of: &Nodes| part.iter().filter(|node| of.contains(node)).copied().collect();
                        cut.iter().map(piece).collect::<Vec<Nodes>>()
                    };
                    parts = parts.iter().flat_map(pieces).collect();
                }
                Action::OneWay { from, to } => {
                    let lost = if from.len() < to.len() { from } else { to };
                    unsure |= !lost.is_empty()
                        && parts.iter().any(|part| part.iter().any(|node| lost.contains(node)));
                }
                Action::Lie { node, .. }
                | Action::Fill { node }
                | Action::KillAtPoint { node, .. }
                | Action::Tamper { node, .. } => {
                    // It may or may not take part, and may make the others wait for it.
                    for part in &mut parts {
                        part.retain(|other| other != node);
                    }
                    unsure = true;
                }
                Action::Bad { .. } | Action::Clock { .. } => unsure = true,
            }
        }
        let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
        if largest * 3 <= validators * 2 {
            return Some(false);
        }
        (!unsure).then_some(true)
    }
}

/// Validators that may fail: less than a third.
#[must_use]
pub const fn faulty_max(validators: usize) -> usize {
    validators.saturating_sub(1) / 3
}

fn link_text(link: &Link) -> String {
    let mut texts = Vec::new();
    for (value, what) in [
        (link.loss_percent, "lost"),
        (link.duplicate_percent, "doubled"),
        (link.reorder_percent, "overtaken"),
        (link.corrupt_percent, "changed"),
    ] {
        if value > 0 {
            texts.push(format!("{value} % {what}"));
        }
    }
    if link.delay_ms > 0 {
        texts.push(format!("{}–{} ms late", link.delay_ms, link.delay_ms + link.jitter_ms));
    }
    if link.rate_bytes > 0 {
        texts.push(format!("{} kB/s", link.rate_bytes / 1000));
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::mix::MIXES;

    fn draw(seed: u64, mixes: &[Mix], episodes: usize) -> Vec<Episode> {
        let mut schedule = Schedule::new(seed, mixes.to_vec(), 4, 5);
        (0..episodes).map(|_| schedule.draw()).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_episodes() {
        assert_eq!(draw(7, &MIXES, 30), draw(7, &MIXES, 30));
        assert_ne!(draw(7, &MIXES, 30), draw(8, &MIXES, 30));
    }

    #[test]
    fn every_mix_comes_up_before_one_comes_again() {
        let mut drawn: Vec<_> =
            draw(7, &MIXES, MIXES.len()).into_iter().map(|episode| episode.kinds).collect();
        let mut all: Vec<_> = MIXES.iter().map(|mix| mix.to_vec()).collect();
        drawn.sort_unstable();
        all.sort_unstable();
        assert_eq!(drawn, all);
    }

    #[test]
    fn every_kind_hits_somebody() {
        for episode in draw(7, &Kind::ALL.chunks(1).collect::<Vec<_>>(), 100) {
            assert!(episode.actions.iter().all(|action| !action.nodes().is_empty()), "{episode:?}");
        }
    }

    #[test]
    fn quorum_is_judged_over_all_that_is_broken() {
        let keeps = |actions: &[Action]| {
            let broken = Duration::ZERO;
            let kinds = Vec::new();
            Episode { number: 1, kinds, actions: actions.to_vec(), broken, calm: broken }.keeps_quorum(4)
        };
        let kill = |nodes: &[usize]| Action::Kill { nodes: nodes.to_vec() };
        let cut =
            |parts: &[&[usize]]| Action::Cut { parts: parts.iter().map(|part| part.to_vec()).collect() };
        assert_eq!(keeps(&[kill(&[0])]), Some(true));
        assert_eq!(keeps(&[kill(&[0, 1])]), Some(false));
        assert_eq!(keeps(&[cut(&[&[0], &[1, 2, 3, 4]])]), Some(true));
        assert_eq!(keeps(&[cut(&[&[0, 1], &[2, 3]])]), Some(false));
        assert_eq!(keeps(&[cut(&[&[0], &[1, 2, 3, 4]]), kill(&[1])]), Some(false));
        assert_eq!(keeps(&[Action::Clock { node: 0, seconds: 60 }]), None);
        assert_eq!(keeps(&[kill(&[0, 1]), Action::Clock { node: 2, seconds: 60 }]), Some(false));
    }

    #[test]
    fn those_who_suffer_are_those_outside_the_largest_part() {
        let cut =
            |parts: &[&[usize]]| Action::Cut { parts: parts.iter().map(|part| part.to_vec()).collect() };
        assert_eq!(cut(&[&[1], &[0, 2, 3, 4]]).nodes(), [1]);
        assert_eq!(cut(&[&[0, 1], &[2, 3]]).nodes(), [0, 1, 2, 3]);
    }
}
