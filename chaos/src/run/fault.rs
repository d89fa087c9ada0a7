//! Owns the catalogue of faults: what a person can ask for, what each kind does, and what it needs of the machine.

use std::{fmt, str::FromStr};

use serde::Serialize;

use super::mix::{MIXES, Mix};
use crate::{
    host::facility::{Facility, Lack},
    lie::Lie,
};

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The network falls apart, wholly, one way, or in part.
    Partition,
    /// Daemons are killed where they are.
    Kill,
    /// Daemons hang.
    Pause,
    /// Clocks jump.
    Clock,
    /// Machines lose their power.
    Disk,
    /// A validator lies.
    Byzantine,
    /// Keys are out of reach.
    Vault,
    /// Several at once.
    Mix,
}

/// No fault has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault `{given}`; there are {}", Fault::ALL.map(Fault::name).join(", "))]
pub struct UnknownFault {
    given: String,
}

/// One way to break something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// kill -9 of one daemon.
    KillOne,
    /// kill -9 of more than the mesh can lose.
    KillMany,
    /// kill -9 of every daemon.
    KillAll,
    /// The daemon kills itself at one of its failpoints.
    KillAtPoint,
    /// SIGSTOP.
    Stop,
    /// SIGSTOP of more than the mesh can lose.
    StopMany,
    /// The freezer: the daemon and the services that it runs.
    Freeze,
    /// One node is cut off.
    CutOne,
    /// Two halves.
    CutHalves,
    /// Three parts.
    CutThree,
    /// One node hears nobody, and is heard.
    Deaf,
    /// One node is heard by nobody, and hears.
    Mute,
    /// Long and uneven delays.
    Slow,
    /// Loss, duplicates and reordering.
    Lossy,
    /// Changed contents that no checksum of the network notices.
    Corrupt,
    /// A narrow link.
    Narrow,
    /// A clock runs ahead.
    ClockAhead,
    /// A clock falls behind.
    ClockBehind,
    /// A machine loses its power with what was not flushed.
    PowerCut,
    /// All machines lose their power at once.
    PowerCutAll,
    /// A disk has no room left.
    DiskFull,
    /// A flush fails.
    SyncFails,
    /// Every flush takes long.
    SyncSlow,
    /// The daemon is killed in the middle of a system call that makes something last.
    KillAtCall,
    /// A validator lies.
    Lies(Lie),
}

impl Fault {
    /// Every fault, in the order of the catalogue.
    pub const ALL: [Self; 8] = [
        Self::Partition,
        Self::Kill,
        Self::Pause,
        Self::Clock,
        Self::Disk,
        Self::Byzantine,
        Self::Vault,
        Self::Mix,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Clock => "clock",
            Self::Disk => "disk",
            Self::Byzantine => "byzantine",
            Self::Vault => "vault",
            Self::Mix => "mix",
        }
    }

    /// What it draws from: one kind at a time, or the mixes.
    #[must_use]
    pub fn draws(self) -> Vec<Mix> {
        if self == Self::Mix {
            return MIXES.to_vec();
        }
        Kind::ALL.chunks(1).filter(|kinds| kinds.iter().all(|kind| kind.fault() == self)).collect()
    }
}

impl Kind {
    /// Every kind, in the order of the catalogue.
    pub const ALL: &'static [Self] = &[
        Self::KillOne,
        Self::KillMany,
        Self::KillAll,
        Self::KillAtPoint,
        Self::Stop,
        Self::StopMany,
        Self::Freeze,
        Self::CutOne,
        Self::CutHalves,
        Self::CutThree,
        Self::Deaf,
        Self::Mute,
        Self::Slow,
        Self::Lossy,
        Self::Corrupt,
        Self::Narrow,
        Self::ClockAhead,
        Self::ClockBehind,
        Self::PowerCut,
        Self::PowerCutAll,
        Self::DiskFull,
        Self::SyncFails,
        Self::SyncSlow,
        Self::KillAtCall,
        Self::Lies(Lie::Silent),
        Self::Lies(Lie::Garbage),
        Self::Lies(Lie::DoubleVotes),
        Self::Lies(Lie::TwoBlocks),
        Self::Lies(Lie::WrongRoot),
        Self::Lies(Lie::FarAhead),
        Self::Lies(Lie::Withheld),
        Self::Lies(Lie::NilVotes),
        Self::Lies(Lie::OldVotes),
        Self::Lies(Lie::Foreign),
        Self::Lies(Lie::Flood),
        Self::Lies(Lie::Forged),
        Self::Lies(Lie::Cut),
        Self::Lies(Lie::Censor),
    ];

    /// What a person asks for to get it.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::KillOne | Self::KillMany | Self::KillAll | Self::KillAtPoint => Fault::Kill,
            Self::Stop | Self::StopMany | Self::Freeze => Fault::Pause,
            Self::CutOne
            | Self::CutHalves
            | Self::CutThree
            | Self::Deaf
            | Self::Mute
            | Self::Slow
            | Self::Lossy
            | Self::Corrupt
            | Self::Narrow => Fault::Partition,
            Self::ClockAhead | Self::ClockBehind => Fault::Clock,
            Self::PowerCut
            | Self::PowerCutAll
            | Self::DiskFull
            | Self::SyncFails
            | Self::SyncSlow
            | Self::KillAtCall => Fault::Disk,
            Self::Lies(_) => Fault::Byzantine,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillOne => "kill-one",
            Self::KillMany => "kill-many",
            Self::KillAll => "kill-all",
            Self::KillAtPoint => "kill-at-point",
            Self::Stop => "stop",
            Self::StopMany => "stop-many",
            Self::Freeze => "freeze",
            Self::CutOne => "cut-one",
            Self::CutHalves => "cut-halves",
            Self::CutThree => "cut-three",
            Self::Deaf => "deaf",
            Self::Mute => "mute",
            Self::Slow => "slow",
            Self::Lossy => "lossy",
            Self::Corrupt => "corrupt",
            Self::Narrow => "narrow",
            Self::ClockAhead => "clock-ahead",
            Self::ClockBehind => "clock-behind",
            Self::PowerCut => "power-cut",
            Self::PowerCutAll => "power-cut-all",
            Self::DiskFull => "disk-full",
            Self::SyncFails => "sync-fails",
            Self::SyncSlow => "sync-slow",
            Self::KillAtCall => "kill-at-call",
            Self::Lies(lie) => lie.name(),
        }
    }

    /// What it does, for people.
    #[must_use]
    pub const fn does(self) -> &'static str {
        match self {
            Self::KillOne => "kill -9 of one daemon, started again",
            Self::KillMany => "kill -9 of more daemons than the mesh can lose: nothing may be decided",
            Self::KillAll => "kill -9 of every daemon at once",
            Self::KillAtPoint => {
                "one daemon is killed at a failpoint: before or after a step that lasts, or a send"
            }
            Self::Stop => "SIGSTOP of one daemon: it hangs, and wakes up in another time",
            Self::StopMany => "SIGSTOP of more daemons than the mesh can lose: nothing may be decided",
            Self::Freeze => "one daemon and the services that it runs are frozen by the kernel",
            Self::CutOne => "one node is cut off from all others",
            Self::CutHalves => "two halves that do not reach each other: nothing may be decided",
            Self::CutThree => "three parts that do not reach each other",
            Self::Deaf => "one node hears nobody, and the others hear it",
            Self::Mute => "one node is heard by nobody, and hears the others",
            Self::Slow => "every frame takes up to half a second",
            Self::Lossy => "frames are lost, doubled and overtaken everywhere",
            Self::Corrupt => "contents change on the way, and the network's checksums still hold",
            Self::Narrow => "the links of one node carry 20 kB a second",
            Self::ClockAhead => "the clock of one node jumps ahead",
            Self::ClockBehind => "the clock of one node falls behind",
            Self::PowerCut => "one machine loses its power with everything that was not flushed",
            Self::PowerCutAll => "all machines lose their power at once",
            Self::DiskFull => "the disk of one node has no room left",
            Self::SyncFails => "a flush of one node fails with EIO: it has to end, and to come back sound",
            Self::SyncSlow => "every flush of one node takes a fifth of a second longer",
            Self::KillAtCall => "one daemon is killed in the middle of a call that makes something last",
            Self::Lies(lie) => lie.does(),
        }
    }

    /// What it needs of the machine.
    #[must_use]
    pub const fn needs(self) -> Option<Facility> {
        match self.fault() {
            Fault::Partition => Some(Facility::Network),
            Fault::Clock => Some(Facility::FakeTime),
            Fault::Disk => Some(match self {
                Self::SyncFails | Self::SyncSlow | Self::KillAtCall => Facility::Tracer,
                _ => Facility::Disks,
            }),
            Fault::Vault => Some(Facility::Vault),
            Fault::Pause if matches!(self, Self::Freeze) => Some(Facility::Freezer),
            Fault::Kill if matches!(self, Self::KillAtPoint) => Some(Facility::Failpoints),
            Fault::Kill | Fault::Pause | Fault::Byzantine | Fault::Mix => None,
        }
    }

    /// Whether a daemon may end by itself: it cannot go on without a disk that keeps its word, or is killed from within.
    #[must_use]
    pub const fn may_end(self) -> bool {
        matches!(self, Self::DiskFull | Self::SyncFails | Self::KillAtCall | Self::KillAtPoint)
    }

    /// Whether daemons stand still or are gone meanwhile.
    #[must_use]
    pub const fn stops_daemons(self) -> bool {
        matches!(self.fault(), Fault::Kill | Fault::Pause | Fault::Disk | Fault::Byzantine)
    }

    /// Whether this machine can do it.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(self) -> Result<(), Lack> {
        self.needs().map_or(Ok(()), Facility::check)
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == text);
        found.ok_or_else(|| UnknownFault { given: text.to_owned() })
    }
}
