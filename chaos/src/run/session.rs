//! Owns a run from the first daemon to the report: load begins, the mesh is broken and mended by the schedule, load ends, and
//! what there is to see is judged.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Options, Progress, RunError, evidence,
    ground::{Ground, GroundError},
    load::{
        ballots::{Answer, Ballots, Cast},
        lives::{Author, Life, Lives},
        reads::{ReadCounts, Reads, Record},
        trial,
    },
    recovery,
    report::{BallotCounts, LeftOut, REPORT_VERSION, Report, Trouble},
    schedule::{self, Episode, Schedule},
    stop::Stop,
    verdict,
    watch::{Seen, Watch},
};
use crate::process::{client::NodeClient, vote::members_with};

/// Time in which blocks that were on the way when the mesh lost its two thirds arrive.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Longest time that is waited for a block after a mend; what comes later is a broken promise either way.
const RECOVERY_MAX: Duration = Duration::from_secs(40);
/// Longest time for the first block.
const FIRST_BLOCK_WITHIN: Duration = Duration::from_mins(1);
/// How often the heights are told while nothing else happens.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// One run, from the first daemon to the report.
pub(super) struct Session<'a> {
    pub(super) options: &'a Options,
    pub(super) stop: &'a Stop,
    pub(super) tell: &'a dyn Fn(&Progress),
    pub(super) begun: Instant,
    /// When the run began, in milliseconds since the Unix epoch.
    pub(super) began_ms: u64,
    pub(super) ground: Ground,
    pub(super) fallen: Vec<String>,
}

/// The work that goes on meanwhile, and what looks on.
struct Work {
    watch: Watch,
    ballots: Ballots,
    /// Whole lives; none on a mesh that stands, where they would take days.
    lives: Option<Lives>,
    reads: Reads,
    /// What all clients are told.
    record: Record,
    /// Ends the work; the run's own stop only ends the breaking.
    enough: Stop,
    /// The ledger's height when it began.
    since: u64,
}

impl Session<'_> {
    pub(super) fn start(&mut self) -> Result<(), RunError> {
        self.say("starting the daemons", &[]);
        self.ground.start().map_err(|source| RunError::Broken { doing: "the mesh does not start", source })
    }

    pub(super) fn run(
        mut self,
        schedule: Schedule,
        left_out: Vec<LeftOut>,
        scratch: &Path,
    ) -> Result<Report, RunError> {
        let work = self
            .begin_work()
            .map_err(|source| RunError::Broken { doing: "the load does not begin", source })?;
        let mut troubles = self.break_by(schedule, &work)?;
        self.say("everything is mended; one more life, and then the verdicts", &work.watch.heights());
        let (record, since) = (work.record.clone(), work.since);
        let (seen, cast, lives, last_life) = self.end_work(work)?;
        let stay = self.withdraw(since);
        let evidence = evidence::Evidence::gather(&mut self.ground, &self.options.binary, scratch, since);
        let evidence = evidence
            .map_err(|source| RunError::Broken { doing: "the evidence cannot be gathered", source })?;
        let names = self.ground.names();
        recovery::resumed(&mut troubles, &names, &evidence.stories, self.began_ms);
        let (mut told, reads) = record.take();
        verdict::status::chronicle(&mut told, &evidence.stories, evidence.height);
        let verdicts = verdict::judge(&verdict::Findings {
            names: &names,
            seen: &seen,
            troubles: &troubles,
            ballots: &cast.ballots,
            told: &told,
            reads,
            last_life: last_life.as_ref(),
            fallen: &self.fallen,
            evidence: &evidence,
            is_standing: self.ground.standing().is_some(),
        });
        let lives: Vec<_> = lives.into_iter().chain(last_life).collect();
        let done_to = self.done_to(since, &evidence, &cast, &stay);
        let mut report = self.report(troubles, left_out, lives, (&cast, reads), &seen, verdicts);
        report.done_to = done_to;
        Ok(report)
    }

    fn begin_work(&self) -> Result<Work, GroundError> {
        let mesh = self.ground.mesh();
        let watch = Watch::start(mesh.nodes().iter().map(|node| node.client().clone()));
        let validators: Vec<_> = mesh.validators().map(|node| node.client().clone()).collect();
        let since = if self.ground.standing().is_some() { validators[0].head()?.height } else { 0 };
        let record = Record::default();
        let is_standing = self.ground.standing().is_some();
        let mut voters = Vec::new();
        for client in &validators {
            let members = members_with(client, "voter")?;
            let is_crowd = |member: &String| is_standing || member.contains("/voter-");
            voters.push((client.clone(), members.into_iter().filter(is_crowd).collect()));
        }
        let enough = Stop::default();
        let ballots = Ballots::start(voters, &record, &enough, is_standing);
        let lives = if is_standing {
            None
        } else {
            Some(Lives::start(Author::new(&validators, self.begun, &record)?, &enough, self.stop))
        };
        let nodes: Vec<_> = mesh.nodes().iter().map(|node| node.client().clone()).collect();
        let reads = Reads::start(&nodes, self.options.seed, &record, &enough);
        watch.wait_for_all(0, FIRST_BLOCK_WITHIN).ok_or("no first block")?;
        Ok(Work { watch, ballots, lives, reads, record, enough, since })
    }

    /// Breaks and mends until the time is over or somebody has enough.
    fn break_by(&mut self, mut schedule: Schedule, work: &Work) -> Result<Vec<Trouble>, RunError> {
        let deadline = Instant::now() + self.options.time;
        let mut troubles = Vec::new();
        while Instant::now() < deadline && !self.stop.is_requested() {
            let episode = schedule.draw();
            if self.stop.wait(episode.calm) {
                break;
            }
            troubles.push(self.play(&episode, &work.watch)?);
        }
        Ok(troubles)
    }

    fn play(&mut self, episode: &Episode, watch: &Watch) -> Result<Trouble, RunError> {
        let names = self.ground.names();
        let broken: Vec<_> = episode.actions.iter().map(|action| action.describe(&names)).collect();
        self.say(&format!("broken: {}", broken.join(" + ")), &watch.heights());
        let failed = |source| RunError::Broken { doing: "the fault cannot be played", source };
        let (before, broken_ms) = (watch.height_max(), self.now_ms());
        for action in &episode.actions {
            self.ground.apply(action).map_err(failed)?;
        }
        let keeps_quorum = episode.keeps_quorum(self.ground.validators());
        let settle = SETTLE.min(episode.broken);
        self.wait(settle, watch);
        let settled = watch.height_max();
        self.wait(episode.broken.saturating_sub(settle), watch);
        let after = watch.height_max();
        if !episode.kinds.iter().any(|kind| kind.may_end()) {
            self.note_fallen();
        }
        self.ground.heal(&episode.actions).map_err(failed)?;
        let (mended, mended_ms) = (Instant::now(), self.now_ms());
        let height = watch.height_max();
        let since = |at: Option<Instant>| {
            at.and_then(|at| u64::try_from(at.saturating_duration_since(mended).as_millis()).ok())
        };
        let next_block_ms = since(watch.wait_for_any(height, RECOVERY_MAX));
        let caught_up_ms = since(watch.wait_for_all(height, RECOVERY_MAX));
        let mut nodes: Vec<_> = episode.actions.iter().flat_map(schedule::Action::nodes).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let told = |took: Option<u64>| took.map_or_else(|| "never".to_owned(), |ms| format!("{ms} ms"));
        self.say(
            &format!("mended: next block {}, all level {}", told(next_block_ms), told(caught_up_ms)),
            &watch.heights(),
        );
        Ok(Trouble {
            number: episode.number,
            kinds: episode.kinds.clone(),
            broken,
            nodes,
            keeps_quorum,
            broken_ms,
            mended_ms,
            blocks_while_stalled: (keeps_quorum == Some(false)).then_some(after - settled),
            blocks: after - before,
            next_block_ms,
            caught_up_ms,
            resumed_ms: Vec::new(),
        })
    }

    #[expect(clippy::type_complexity, reason = "one caller takes it apart at once")]
    fn end_work(&mut self, work: Work) -> Result<(Vec<Vec<Seen>>, Cast, Vec<Life>, Option<Life>), RunError> {
        let Work { watch, ballots, lives, reads, record, enough, .. } = work;
        enough.request();
        reads.join();
        let (cast, lives) = (ballots.join(), lives.map(Lives::join).unwrap_or_default());
        let validators: Vec<_> = self.ground.mesh().validators().map(|node| node.client().clone()).collect();
        let last_life = if self.stop.is_requested() {
            None
        } else {
            Some(self.live_last(&validators, lives.len(), &record)?)
        };
        let last_life = last_life.filter(|_| !self.stop.is_requested());
        self.note_fallen();
        // The last blocks reach everybody; where they do not, agreement and recovery say so.
        let _agreed = self.ground.mesh().wait_for_agreement(RECOVERY_MAX);
        Ok((watch.stop(), cast, lives, last_life))
    }

    /// The life after the last mend; where a whole one would take days, what can be seen at once.
    fn live_last(&self, nodes: &[NodeClient], turn: usize, record: &Record) -> Result<Life, RunError> {
        if self.ground.standing().is_some() {
            return Ok(trial::live(nodes, self.begun, self.stop));
        }
        let author = Author::new(nodes, self.begun, record);
        let failed =
            |error| RunError::Broken { doing: "the last life does not begin", source: Box::new(error) };
        Ok(author.map_err(failed)?.live(turn, self.stop))
    }

    /// On a mesh that stands, every proposal of the run is withdrawn; yields those that stay.
    fn withdraw(&self, since: u64) -> Vec<String> {
        if self.ground.standing().is_none() {
            return Vec::new();
        }
        self.say("withdrawing the proposals of this run", &[]);
        let nodes: Vec<_> = self.ground.mesh().validators().map(|node| node.client().clone()).collect();
        trial::withdraw_all(&nodes, since)
    }

    /// What a mesh that stands keeps of the run.
    fn done_to(
        &self,
        since: u64,
        evidence: &evidence::Evidence,
        cast: &Cast,
        stay: &[String],
    ) -> Vec<String> {
        let Some(standing) = self.ground.standing() else { return Vec::new() };
        let ballots =
            cast.ballots.iter().filter(|ballot| matches!(ballot.answer, Answer::Final { .. })).count();
        let mut done = vec![
            format!(
                "its ledger went from height {since} to height {}, and keeps every block",
                evidence.height
            ),
            format!(
                "{} proposals were opened in the names of its authors and withdrawn, and {ballots} ballots against \
                 them were cast in the names of its voters",
                evidence.stories.len()
            ),
        ];
        done.extend(stay.iter().map(|what| format!("a proposal could not be withdrawn: {what}")));
        for org in evidence.equivocated.values().flatten().collect::<std::collections::BTreeSet<_>>() {
            done.push(format!("{org} signed twice in its validator's name, and its ledger says so for ever"));
        }
        done.push("its daemons were ended; configuration, keys and genesis are as they were".to_owned());
        done.push(format!("what its daemons printed is in {}", standing.logs.display()));
        done
    }

    fn note_fallen(&mut self) {
        for name in self.ground.fallen() {
            if !self.fallen.contains(&name) {
                let printed = self.ground.printed(&name);
                let last: Vec<_> = printed.lines().rev().take(3).collect();
                self.say(
                    &format!(
                        "{name} ended by itself: {}",
                        last.into_iter().rev().collect::<Vec<_>>().join(" / ")
                    ),
                    &[],
                );
                self.fallen.push(name);
            }
        }
    }

    fn report(
        &self,
        troubles: Vec<Trouble>,
        left_out: Vec<LeftOut>,
        lives: Vec<Life>,
        (cast, reads): (&Cast, ReadCounts),
        seen: &[Vec<Seen>],
        verdicts: Vec<verdict::Verdict>,
    ) -> Report {
        let count = |is: fn(&Answer) -> bool| cast.ballots.iter().filter(|ballot| is(&ballot.answer)).count();
        let since = |at: Instant| {
            u64::try_from(at.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
        };
        Report {
            version: REPORT_VERSION,
            passed: verdicts.iter().all(|verdict| verdict.holds),
            interrupted: self.stop.is_requested(),
            fault: self.options.fault,
            seed: self.options.seed,
            repeat: self.options.repeat.clone(),
            program: self.options.program,
            nodes: self.ground.names(),
            validators: self.ground.validators(),
            took_ms: self.now_ms(),
            left_out,
            troubles,
            lives,
            ballots: BallotCounts {
                cast: cast.ballots.len(),
                acknowledged: count(|answer| matches!(answer, Answer::Final { .. })),
                refused: count(|answer| *answer == Answer::Refused),
                unanswered: cast.unanswered,
            },
            reads,
            frames: self.ground.counts(),
            heights: seen
                .iter()
                .map(|seen| seen.iter().map(|seen| (since(seen.at), seen.height)).collect())
                .collect(),
            verdicts,
            done_to: Vec::new(),
        }
    }

    /// Waits, and shows the heights meanwhile; ends early when somebody has enough.
    fn wait(&self, time: Duration, watch: &Watch) {
        let deadline = Instant::now() + time;
        while !self.stop.wait(TELL_EVERY.min(deadline.saturating_duration_since(Instant::now()))) {
            self.say("", &watch.heights());
            if Instant::now() >= deadline {
                return;
            }
        }
    }

    fn say(&self, text: &str, heights: &[u64]) {
        (self.tell)(&Progress { at: self.begun.elapsed(), text: text.to_owned(), heights: heights.to_vec() });
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
