//! Owns the list of failpoints: each place of the product where a daemon can be killed, what has to go on for it to be
//! reached, and in which order they are played. A daemon that is built with them reads from its environment which are
//! armed; a test holds the list against the sources.

use serde::Serialize;

/// The variable from which a daemon arms its failpoints: `NAME=ACTION;NAME=ACTION`, with the actions of
/// [`althing_actors::failpoint::arm`].
pub const VARIABLE: &str = "ALTHING_FAILPOINTS";

/// What has to go on at a node for a failpoint to be reached there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// It starts with nothing.
    FirstStart,
    /// It starts again after a kill.
    Start,
    /// It starts again, and its index is in doubt.
    Doubt,
    /// The mesh is at work: ballots are cast at every node, proposals are decided, carried out and audited.
    Work,
    /// The mesh is at work, and an actor of the node panics.
    Panic,
    /// It starts again when the others have decided more.
    Behind,
    /// It starts with nothing and follows what the others decided.
    CatchUp,
    /// Another node starts again with nothing.
    Newcomer,
    /// It is asked for its bundle.
    Export,
    /// It is asked to end.
    End,
}

/// Which node is killed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// A validator, as the one that decides.
    Decider,
    /// A validator, as the one that carries out.
    Executor,
    /// The auditor.
    Auditor,
}

/// A place in the product where a daemon can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Its name.
    pub name: &'static str,
    /// Who is killed there.
    pub victim: Victim,
    /// What has to go on.
    pub reached: Reached,
    /// How often it is passed before: what is reached many times a second would be hit before the work has begun.
    pub passes: u32,
}

const fn point(victim: Victim, reached: Reached, name: &'static str) -> Point {
    Point { name, victim, reached, passes: 0 }
}

impl Point {
    const fn after(self, passes: u32) -> Self {
        Self { passes, ..self }
    }

    /// What a daemon has in [`VARIABLE`] to be killed there.
    #[must_use]
    pub fn arming(&self) -> String {
        match self.reached {
            Reached::Panic => format!("signer.signed=1*panic;{}=kill", self.name),
            _ if self.passes == 0 => format!("{}=kill", self.name),
            _ => format!("{}={}*off->kill", self.name, self.passes),
        }
    }
}

use Reached::{Behind, CatchUp, Doubt, End, Export, FirstStart, Newcomer, Panic, Start, Work};
use Victim::{Auditor, Decider, Executor};

/// Every failpoint, for each victim in the order in which they are played: what is left by one may be what the next one
/// needs, such as a log that ends in records beyond its mark.
pub const POINTS: &[Point] = &[
    point(Decider, FirstStart, "daemon.start.keys"),
    point(Decider, FirstStart, "daemon.start.mesh"),
    point(Decider, FirstStart, "ledger.meta.written"),
    point(Decider, FirstStart, "ledger.meta.renamed"),
    point(Decider, FirstStart, "ledger.log.mark.created"),
    point(Decider, FirstStart, "ledger.log.segment.created"),
    point(Decider, FirstStart, "ledger.log.unborn.removed"),
    point(Decider, FirstStart, "ledger.log.segment.named"),
    point(Decider, FirstStart, "journal.created"),
    point(Decider, Work, "ledger.log.append").after(100),
    point(Decider, Work, "mesh.lost"),
    point(Decider, Work, "ledger.log.written").after(20),
    point(Decider, Work, "ledger.log.synced").after(20),
    point(Decider, Start, "ledger.log.written_again"),
    point(Decider, Work, "ledger.log.marked").after(20),
    point(Decider, Start, "ledger.log.cut"),
    point(Decider, Start, "ledger.log.settled"),
    point(Decider, Start, "ledger.log.opened"),
    point(Decider, Start, "ledger.index.opened"),
    point(Decider, Doubt, "ledger.index.set_aside"),
    point(Decider, Work, "ledger.bound").after(10),
    point(Decider, Work, "ledger.bound.durable").after(10),
    point(Decider, Start, "consensus.replayed"),
    point(Decider, Start, "ledger.replayed"),
    point(Decider, Work, "consensus.vote.signed").after(10),
    point(Decider, Work, "consensus.proposal.signed").after(1),
    point(Decider, Work, "ledger.block.proposed").after(1),
    point(Decider, Work, "ledger.block.logged").after(5),
    point(Decider, Work, "ledger.decision.log").after(5),
    point(Decider, Work, "ledger.decision.told").after(5),
    point(Decider, Work, "ledger.decision.durable").after(5),
    point(Decider, Work, "ledger.index.put").after(5),
    point(Decider, Work, "ledger.index.stored").after(5),
    point(Decider, Work, "ledger.send").after(50),
    point(Decider, Work, "ledger.publish").after(1),
    point(Decider, Behind, "ledger.blocks.request"),
    point(Decider, Behind, "ledger.blocks.received"),
    point(Decider, Newcomer, "ledger.blocks.serve"),
    point(Decider, Work, "ledger.submission.checked").after(2),
    point(Decider, Work, "ledger.submission.pooled").after(2),
    point(Decider, Work, "journal.written").after(2),
    point(Decider, Work, "journal.synced").after(2),
    point(Decider, Start, "journal.written_again"),
    point(Decider, Work, "signer.signed").after(2),
    point(Decider, Work, "signer.record").after(2),
    point(Decider, Work, "signer.recorded").after(2),
    point(Decider, Work, "submitter.submit").after(2),
    point(Decider, Work, "submitter.settled").after(2),
    point(Decider, Work, "api.submit").after(2),
    point(Decider, Work, "api.final").after(2),
    point(Decider, Work, "api.kept").after(2),
    point(Decider, Work, "mesh.dial").after(1),
    point(Decider, Work, "mesh.admitted").after(1),
    point(Decider, Work, "mesh.direct.write").after(50),
    point(Decider, Work, "mesh.direct.written").after(50),
    point(Decider, Work, "mesh.direct.received").after(50),
    point(Decider, Work, "mesh.gossip.publish").after(1),
    point(Decider, Work, "mesh.gossip.heard").after(1),
    point(Decider, Behind, "mesh.request"),
    point(Decider, Behind, "mesh.answered"),
    point(Decider, Newcomer, "mesh.answer"),
    point(Decider, Panic, "watcher.restart"),
    point(Decider, Panic, "watcher.restarted"),
    point(Decider, Export, "bundle.block").after(10),
    point(Decider, Export, "bundle.finish"),
    point(Decider, Start, "daemon.start.ledger"),
    point(Decider, Start, "daemon.start.signer"),
    point(Decider, Start, "daemon.start.provider"),
    point(Decider, Start, "daemon.start.actors"),
    point(Decider, Start, "daemon.start.api"),
    point(Decider, End, "daemon.stop"),
    point(Decider, End, "daemon.stop.api"),
    point(Decider, End, "daemon.stop.actors"),
    point(Decider, End, "daemon.stop.ledger"),
    point(Decider, End, "mesh.goodbye"),
    point(Decider, End, "daemon.stop.mesh"),
    point(Executor, Work, "local.artefact.copied"),
    point(Executor, Work, "executor.claim"),
    point(Executor, Work, "executor.claimed"),
    point(Executor, Work, "executor.read"),
    point(Executor, Work, "executor.found"),
    point(Executor, Work, "executor.record"),
    point(Executor, Work, "executor.recorded"),
    point(Executor, Work, "executor.call"),
    point(Executor, Work, "local.begun"),
    point(Executor, Work, "local.file.written"),
    point(Executor, Work, "local.file.renamed"),
    point(Executor, Work, "local.changing"),
    point(Executor, Work, "local.instance.start"),
    point(Executor, Work, "local.instance.started"),
    point(Executor, Work, "local.instance.identified"),
    point(Executor, Start, "local.instance.adopted"),
    point(Executor, Work, "local.instance.ready"),
    point(Executor, Work, "local.switched"),
    point(Executor, Work, "local.applied"),
    point(Executor, Work, "local.done"),
    point(Executor, Work, "executor.called"),
    point(Executor, Work, "executor.report"),
    point(Executor, Work, "executor.reported"),
    point(Executor, Work, "executor.probe"),
    point(Executor, Work, "executor.probed"),
    point(Executor, Work, "executor.attest"),
    point(Executor, Work, "executor.attested"),
    point(Executor, Work, "local.instance.stopped"),
    point(Auditor, Work, "auditor.applied"),
    point(Auditor, Work, "auditor.witnessed"),
    point(Auditor, Work, "auditor.head").after(1),
    point(Auditor, Work, "auditor.attest"),
    point(Auditor, Work, "auditor.attested"),
    point(Auditor, CatchUp, "ledger.snapshot.written"),
    point(Auditor, CatchUp, "ledger.snapshot.renamed"),
];

/// The failpoints that a validator passes whenever the mesh is at work.
pub fn at_work() -> impl Iterator<Item = &'static Point> {
    POINTS.iter().filter(|point| point.reached == Reached::Work && point.victim != Victim::Auditor)
}

/// The failpoint of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Point> {
    POINTS.iter().find(|point| point.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_armed_for_the_time_after_its_passes() {
        let arming = |name| named(name).unwrap().arming();
        assert_eq!(arming("signer.signed"), "signer.signed=2*off->kill");
        assert_eq!(arming("daemon.stop"), "daemon.stop=kill");
        assert_eq!(arming("watcher.restart"), "signer.signed=1*panic;watcher.restart=kill");
    }
}
