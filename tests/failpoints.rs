//! Owns the kills at every failpoint: a mesh of real daemons is kept at work while three of its nodes die again and again,
//! each time at another place of the list, and come back. Afterwards every promise holds.

#[path = "failpoints/figures.rs"]
mod figures;
#[path = "failpoints/lane.rs"]
mod lane;
#[path = "failpoints/work.rs"]
mod work;

use std::{collections::BTreeSet, path::Path, thread, time::Instant};

use althing_chaos::{
    failpoint::{POINTS, Point, Reached, Victim},
    host::inventory::Inventory,
    process::mesh::Node,
    run::ground::Ground,
};

use figures::{Figures, Kill};
use lane::Lane;
use work::Work;

const VALIDATORS: usize = 4;
/// Nothing is drawn from it: there is no network in between.
const SEED: u64 = 0;
/// Whose node is killed as which victim, by its place in the mesh; the auditor is the last one.
const VICTIMS: [(Victim, usize); 3] =
    [(Victim::Executor, 0), (Victim::Decider, VALIDATORS - 1), (Victim::Auditor, VALIDATORS)];
/// A node that nobody kills.
const OTHER: usize = 1;

/// Where the mesh is laid. The services that its nodes started outlive them and are ended with it.
struct Place {
    folder: tempfile::TempDir,
    inventory: Option<Inventory>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let inventory = Inventory::begin(&folder.path().join("inventories")).expect("a list is begun");
        Self { folder, inventory: Some(inventory) }
    }

    fn lay(&self, binary: &Path) -> Ground {
        let inventory = self.inventory.as_ref().expect("it is taken at the end");
        let mesh = self.folder.path().join("mesh");
        let laid = Ground::lay(inventory, binary, &mesh, VALIDATORS, SEED, &BTreeSet::new());
        laid.expect("a mesh is laid")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let stuck = self.inventory.take().map_or(Ok(()), Inventory::remove_all);
        for error in stuck.err().into_iter().flatten() {
            eprintln!("left behind: {error}");
        }
    }
}

#[test]
#[ignore = "minutes: `make failpoints`"]
fn a_daemon_that_is_killed_at_any_failpoint_comes_back_and_every_promise_is_kept() {
    let begun = Instant::now();
    let place = Place::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_althing"));
    let mut ground = place.lay(binary);

    let mut kills = play(&mut ground, |point| point.reached == Reached::FirstStart);
    ground.start().expect("every node comes up");
    let work = Work::begin(&ground);
    // The auditor becomes the newcomer that others wait for when everything else has been played.
    let is_last = |point: &Point| matches!(point.reached, Reached::Newcomer | Reached::CatchUp);
    kills.extend(play(&mut ground, |point| point.reached != Reached::FirstStart && !is_last(point)));
    kills.extend(play(&mut ground, is_last));
    let verdicts = work.judge(&mut ground, binary, place.folder.path());

    let figures = Figures { kills, verdicts, took: begun.elapsed() };
    figures.write();
    println!("{figures}");
    assert!(figures.holds(), "{figures}");
}

/// Kills each victim at its points, one after another; the victims go on beside each other.
fn play(ground: &mut Ground, is_due: impl Fn(&Point) -> bool) -> Vec<Kill> {
    let other = ground.mesh().nodes()[OTHER].client().clone();
    let nodes: Vec<&mut Node> = ground.mesh_mut().nodes_mut().iter_mut().collect();
    let lanes = nodes.into_iter().enumerate().filter_map(|(at, node)| {
        let (victim, _) = VICTIMS.iter().find(|(_, place)| *place == at)?;
        let points: Vec<_> = POINTS.iter().filter(|point| point.victim == *victim && is_due(point)).collect();
        (!points.is_empty()).then(|| Lane { node, other: other.clone(), points })
    });
    thread::scope(|scope| {
        let lanes: Vec<_> = lanes.map(|lane| scope.spawn(move || lane.play())).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("a lane does not panic")).collect()
    })
}
