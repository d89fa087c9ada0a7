//! Owns a rollout whose executors are killed while they act: each effect happens at most once, by the provider's own
//! record on every target.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use althing_actors::{
    executor::local::{
        effects::{EFFECT_LOG, EffectRecord, Progress},
        process::{Identity, Process},
        state_file::TargetState,
    },
    journal::Journal,
};
use althing_chaos::process::{
    mesh::ProcessMesh,
    vote::{OpenVote, Voter},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{ORGANISATIONS, SEED_VARIABLE, seed};

/// A day is about two seconds.
const TIME_DIVISOR: u64 = 40_000;
/// Longest time that a node runs before the next kill.
const UP_MS_MAX: u64 = 400;
/// After as many kills the rollout is left in peace.
const KILLS_MAX: usize = 20;
/// Looks at the proposal, half a second apart, until it is over.
const LOOKS_MAX: usize = 240;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The sites of a mesh; services that run there outlive their nodes and are ended here.
struct Sites(Vec<PathBuf>);

impl Sites {
    fn of(mesh: &ProcessMesh) -> Self {
        let site = |folder: &Path, org: &str, place: &str| folder.join(format!("sites/{org}-{place}"));
        let both = mesh
            .validators()
            .flat_map(|node| ["north", "south"].map(|place| site(node.folder(), node.client().org(), place)));
        Self(both.collect())
    }

    /// How often each order took effect, by target and idempotency key.
    fn effects(&self) -> BTreeMap<(PathBuf, String), usize> {
        let mut effects = BTreeMap::new();
        for site in self.0.iter().filter(|site| site.join("effects.log").exists()) {
            let count = |EffectRecord::V1 { idempotency_key, progress, .. }: EffectRecord| {
                if matches!(progress, Progress::Done { .. }) {
                    *effects.entry((site.clone(), idempotency_key)).or_insert(0) += 1;
                }
            };
            Journal::<EffectRecord>::open(&site.join("effects.log"), EFFECT_LOG, count)
                .expect("the effects of a site are read");
        }
        effects
    }
}

impl Drop for Sites {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system has file descriptors for a runtime");
        // Adopting a process registers it with the runtime.
        let _entered = runtime.enter();
        for site in &self.0 {
            let Ok(state) = TargetState::load(&site.join("state.json")) else { continue };
            for instance in state.instances.values().flat_map(BTreeMap::values) {
                // A process that ended may have left its number to another one.
                let alive = |identity: &&Identity| Process::adopt(identity).is_some();
                if let Some(process) = instance.process.as_ref().filter(alive) {
                    // It may end by itself in between.
                    let _ended = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
                }
            }
        }
    }
}

#[test]
fn a_rollout_whose_executors_are_killed_takes_effect_once() {
    let seed = seed();
    println!("repeat with {SEED_VARIABLE}={seed}");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let binary = Path::new(env!("CARGO_BIN_EXE_althing"));
    let mut mesh =
        ProcessMesh::init(binary, &folder.path().join("mesh"), &ORGANISATIONS).expect("a mesh is written");
    mesh.divide_periods(TIME_DIVISOR).expect("periods are divided");
    let sites = Sites::of(&mesh);
    mesh.start().expect("every node comes up");
    let vote = decide(&mesh);

    let kills = kill_until_over(&mut mesh, &vote, &mut StdRng::seed_from_u64(seed));
    mesh.start().expect("every node comes back");
    let stage = wait_until_over(&mut mesh, &vote);
    mesh.nodes_mut().iter_mut().for_each(|node| node.kill().expect("it ends"));

    let effects = sites.effects();
    println!("{kills} kills during the rollout, {} effects, {stage}", effects.len());
    assert!(kills > 0, "no node was killed while the rollout ran");
    assert!(!effects.is_empty(), "nothing was done: {stage}");
    let doubled: Vec<_> = effects.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "done more than once: {doubled:#?}");
}

/// Has the first release of the example service decided by everybody.
fn decide(mesh: &ProcessMesh) -> OpenVote {
    let text = include_str!("../../examples/install-greeter-1.toml");
    let document: Value = toml::from_str(text).expect("the example is TOML");
    let client = |at: usize| mesh.nodes()[at].client();
    let vote = OpenVote::begin_with(client(0), client(1), &document).expect("it takes ballots");
    for node in mesh.validators() {
        let mut voter = Voter::of(node.client(), std::slice::from_ref(&vote)).expect("a voter");
        voter.cast().expect("a ballot is final");
    }
    vote
}

fn stage(mesh: &ProcessMesh, at: usize, vote: &OpenVote) -> Option<String> {
    let shown = mesh.nodes()[at].client().get(&format!("/v1/proposals/{}", vote.proposal())).ok()?;
    let stage = shown.get("stage").or_else(|| shown.pointer("/proposal/stage"));
    stage.and_then(Value::as_str).map(str::to_owned)
}

/// Kills one node after another from the first step of the rollout on, until it is over; yields how many.
fn kill_until_over(mesh: &mut ProcessMesh, vote: &OpenVote, random: &mut StdRng) -> usize {
    let mut kills = 0;
    for _ in 0..LOOKS_MAX {
        let stage = stage(mesh, 0, vote);
        if kills == KILLS_MAX || stage.as_deref().is_some_and(is_over) {
            return kills;
        }
        if kills > 0 || stage.as_deref().is_some_and(|stage| ["canary", "rollout"].contains(&stage)) {
            let victim = random.random_range(0..ORGANISATIONS.len());
            let up = Duration::from_millis(random.random_range(0..=UP_MS_MAX));
            mesh.nodes_mut()[victim].stays_up_for(up).expect("a node ends only when it is killed");
            mesh.nodes_mut()[victim].kill().expect("it is killed");
            mesh.start().expect("it comes back");
            kills += 1;
        } else {
            mesh.nodes_mut()[0].stays_up_for(LOOK_EVERY).expect("a node ends only when it is killed");
        }
    }
    panic!("the rollout did not begin: {:?}", stage(mesh, 0, vote));
}

fn wait_until_over(mesh: &mut ProcessMesh, vote: &OpenVote) -> String {
    for _ in 0..LOOKS_MAX {
        match stage(mesh, 0, vote) {
            Some(over) if is_over(&over) => return over,
            _ => mesh.nodes_mut()[0].stays_up_for(LOOK_EVERY).expect("a node ends only when it is killed"),
        }
    }
    panic!("the rollout did not end: {:?}", stage(mesh, 0, vote));
}

fn is_over(stage: &str) -> bool {
    ["executed", "auditing", "closed", "rolled-back", "rollback-failed", "failed"].contains(&stage)
}
