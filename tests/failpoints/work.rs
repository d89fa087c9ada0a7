//! Owns what goes on meanwhile, ballots and whole lives of proposals, and judging it when everybody is back.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use althing_chaos::{
    process::vote::members_with,
    run::{
        evidence::Evidence,
        ground::Ground,
        load::{
            ballots::Ballots,
            lives::{Author, Lives},
            reads::{Reads, Record},
        },
        stop::Stop,
        verdict::{Findings, Verdict, judge, status},
        watch::Watch,
    },
};

/// Longest time for the first block, and for one more after the last kill.
const BLOCK_WITHIN: Duration = Duration::from_secs(30);

/// What readers draw from.
const SEED: u64 = 1;

/// The work, and what looks on.
pub(crate) struct Work {
    begun: Instant,
    watch: Watch,
    ballots: Ballots,
    lives: Lives,
    reads: Reads,
    record: Record,
    enough: Stop,
}

impl Work {
    /// Begins it, and waits for the first block.
    pub(crate) fn begin(ground: &Ground) -> Self {
        let (begun, record) = (Instant::now(), Record::default());
        let mesh = ground.mesh();
        let watch = Watch::start(mesh.nodes().iter().map(|node| node.client().clone()));
        let validators: Vec<_> = mesh.validators().map(|node| node.client().clone()).collect();
        let author = Author::new(&validators, begun, &record).expect("a node names its targets");
        let crowd = |client| {
            let members = members_with(client, "voter").expect("a node names its keys");
            members.into_iter().filter(|member| member.contains("/voter-")).collect()
        };
        let voters = validators.iter().map(|client| (client.clone(), crowd(client))).collect();
        let enough = Stop::default();
        let ballots = Ballots::start(voters, &record, &enough, false);
        let lives = Lives::start(author, &enough, &Stop::default());
        let nodes: Vec<_> = mesh.nodes().iter().map(|node| node.client().clone()).collect();
        let reads = Reads::start(&nodes, SEED, &record, &enough);
        watch.wait_for_all(0, BLOCK_WITHIN).expect("a first block comes");
        Self { begun, watch, ballots, lives, reads, record, enough }
    }

    /// Waits for one more block everywhere, lives one more life, and judges what there is to judge.
    pub(crate) fn judge(self, ground: &mut Ground, binary: &Path, folder: &Path) -> Vec<Verdict> {
        let Self { begun, watch, ballots, lives, reads, record, enough } = self;
        watch.wait_for_all(watch.height_max(), BLOCK_WITHIN).expect("the mesh decides again, and all follow");
        enough.request();
        reads.join();
        let (cast, lives) = (ballots.join(), lives.join());
        println!(
            "heights {:?}, {} ballots, {} times no answer",
            watch.heights(),
            cast.ballots.len(),
            cast.unanswered
        );
        for life in &lives {
            println!(
                "{} to {} ms: {} {} {}",
                life.began_ms, life.ended_ms, life.author, life.version, life.stage
            );
        }
        let validators: Vec<_> = ground.mesh().validators().map(|node| node.client().clone()).collect();
        let author = Author::new(&validators, begun, &record).expect("a node names its targets");
        let last_life = author.live(lives.len(), &Stop::default());
        ground.mesh().wait_for_agreement(BLOCK_WITHIN).expect("all nodes hold the same state");
        let fallen = ground.fallen();
        let (names, seen) = (ground.names(), watch.stop());
        let evidence = Evidence::gather(ground, binary, folder, 0).expect("everything answers");
        let (mut told, reads) = record.take();
        status::chronicle(&mut told, &evidence.stories, evidence.height);
        let findings = Findings {
            names: &names,
            seen: &seen,
            troubles: &[],
            ballots: &cast.ballots,
            told: &told,
            reads,
            last_life: Some(&last_life),
            fallen: &fallen,
            evidence: &evidence,
            is_standing: false,
        };
        evidence.findings.iter().for_each(|finding| println!("{finding}"));
        judge(&findings)
    }
}
