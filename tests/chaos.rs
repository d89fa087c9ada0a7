//! Owns `althing chaos` as a person uses it: what it refuses before anything is touched, a run that finds every promise
//! kept, and that nothing is left behind, however the run ends.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use althing_chaos::{
    host::{facility::Facility, inventory::RUN_VARIABLE},
    process::{Process, mesh::ProcessMesh, vote::OpenVote},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Longest time for a whole run of these tests.
const RUN_WITHIN: Duration = Duration::from_mins(4);
/// Longest time until a run has broken something.
const BROKEN_WITHIN: Duration = Duration::from_secs(90);

/// A place where runs write down what they make, and where they are watched from.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    fn inventories(&self) -> PathBuf {
        self.0.path().join("inventories")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_althing"));
        command.arg("chaos").args(words).env("ALTHING_CHAOS_INVENTORIES", self.inventories());
        command
    }

    fn start(&self, words: &[&str]) -> Process {
        Process::spawn("althing chaos", &mut self.command(words)).expect("the program can be started")
    }

    /// Exit code, stdout and stderr.
    fn run(&self, words: &[&str]) -> (i32, String, String) {
        let output = self.command(words).output().expect("the program can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // Messages to people are broken into lines as wide as their terminal.
        let words: Vec<_> =
            text(&output.stderr).replace('│', " ").split_whitespace().map(str::to_owned).collect();
        (output.status.code().unwrap_or(-1), text(&output.stdout), words.join(" "))
    }

    /// What runs have written down and not taken away.
    fn left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.inventories()).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// The name of the only run that goes on.
    fn name_of_run(&self) -> String {
        let left = self.left();
        let [list] = &left[..] else { panic!("one run goes on: {left:?}") };
        list.file_stem().expect("a list has a name").to_string_lossy().into_owned()
    }
}

/// Processes that carry the name of a run.
fn processes_of(run: &str) -> usize {
    let wanted = format!("{RUN_VARIABLE}={run}");
    let entries = fs::read_dir("/proc").expect("processes can be listed").flatten();
    let environments = entries.filter_map(|entry| fs::read(entry.path().join("environ")).ok());
    environments
        .filter(|environment| environment.split(|byte| *byte == 0).any(|it| it == wanted.as_bytes()))
        .count()
}

fn namespaces_of(run: &str) -> usize {
    let names = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    names.filter(|entry| entry.file_name().to_string_lossy().contains(run)).count()
}

fn scratch_of(run: &str) -> PathBuf {
    std::env::temp_dir().join(format!("althing-chaos-{run}"))
}

fn assert_nothing_left(run: &str) {
    assert_eq!((processes_of(run), namespaces_of(run)), (0, 0));
    assert!(!scratch_of(run).exists());
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_made() {
    let place = Place::new();
    for (words, code, said) in [
        (&["run", "kill", "--seed", "soon"][..], 2, "invalid digit"),
        (&["run", "kill"], 2, "--seed"),
        (
            &["run", "earthquake", "--seed", "1"],
            2,
            "there is no fault `earthquake`; there are partition, kill,",
        ),
        (&["run", "kill", "--seed", "1", "--minutes", "0"], 2, "it is not above 0"),
        (&["run", "kill", "--seed", "1", "--minutes", "long"], 2, "it is not a number"),
        (&["run", "kill", "--seed", "1", "--nodes", "3"], 2, "4..=10"),
        (&["run", "kill", "--seed", "1", "--only", "deaf"], 2, "`kill` has no `deaf`; it has kill-one"),
        (&["run", "vault", "--seed", "1"], 4, "there is no Vault to take away"),
    ] {
        let (found, stdout, stderr) = place.run(words);
        assert_eq!(found, code, "{words:?}: {stderr}");
        assert!(stderr.contains(said) && stdout.is_empty(), "{words:?}: {stderr}");
    }
    assert!(!place.inventories().exists(), "nothing was made");
}

#[test]
fn a_mesh_that_was_not_made_to_be_broken_is_left_alone() {
    let place = Place::new();
    let mesh = place.0.path().join("mesh");
    fs::create_dir(&mesh).expect("a folder");
    fs::write(mesh.join("genesis.toml"), "precious").expect("a file");
    let dir = mesh.to_str().expect("a path of text");
    let (code, _, stderr) = place.run(&["run", "kill", "--seed", "1", "--dir", dir]);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("was not made to be"), "{stderr}");
    assert_eq!(fs::read_to_string(mesh.join("genesis.toml")).expect("it is there"), "precious");
    assert!(place.left().is_empty(), "nothing was made");
}

/// A mesh as an operator founds it.
fn founded(place: &Place) -> PathBuf {
    let folder = place.0.path().join("real");
    ProcessMesh::init(
        Path::new(env!("CARGO_BIN_EXE_althing")),
        &folder,
        &["acme", "birch", "cedar", "delta"],
    )
    .expect("a mesh is founded");
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn a_mesh_that_stands_is_broken_only_when_it_is_named_twice_and_does_not_run() {
    let place = Place::new();
    let (mesh, other) = (founded(&place), place.0.path().join("other"));
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("notes.txt"), "precious").expect("a file");
    let (dir, other) = (text(&mesh), text(&other));
    let refused = |words: &[&str], code: i32, said: &str| {
        let (found, _, stderr) = place.run(&[&["run", "kill", "--seed", "1"], words].concat());
        assert_eq!(found, code, "{words:?}: {stderr}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
    };
    refused(&["--dir", dir], 5, "--yes-break");
    refused(&["--dir", dir, "--yes-break", other], 2, "--yes-break names");
    refused(&["--dir", other, "--yes-break", other], 2, "no folder in it has a node.toml");
    refused(&["--yes-break", dir], 2, "--dir");
    refused(&["--dir", dir, "--yes-break", dir, "--nodes", "5"], 2, "--nodes");
    let (found, _, stderr) =
        place.run(&["run", "partition", "--seed", "1", "--dir", dir, "--yes-break", dir]);
    assert!(found == 4 && stderr.contains("in its genesis"), "{stderr}");
    let mut running = ProcessMesh::open(Path::new(env!("CARGO_BIN_EXE_althing")), &mesh).expect("a mesh");
    running.nodes_mut()[1].start().expect("it starts");
    let pid = running.nodes()[1].process().expect("it runs").pid().to_string();
    refused(&["--dir", dir, "--yes-break", dir], 5, &pid);
    assert!(running.nodes_mut()[1].stop().expect("it ends").success());
    assert!(!place.inventories().exists(), "nothing was made");
}

/// Two kills and a mend each; what was on the ledger before is on it afterwards.
#[test]
fn a_mesh_that_stands_goes_on_where_it_was_after_it_was_broken() {
    let place = Place::new();
    let folder = founded(&place);
    let binary = Path::new(env!("CARGO_BIN_EXE_althing"));
    let open = || ProcessMesh::open(binary, &folder).expect("a mesh");
    let mut mesh = open();
    mesh.start().expect("it starts");
    let clients: Vec<_> = mesh.validators().map(|node| node.client().clone()).collect();
    let vote = OpenVote::begin(&clients[0], &clients[1]).expect("a proposal is opened");
    let before = mesh.wait_for_agreement(RUN_WITHIN).expect("one head").height;
    let genesis = fs::read(folder.join("genesis.toml")).expect("a genesis");
    for node in mesh.nodes_mut() {
        node.stop().expect("it ends");
    }
    let dir = text(&folder);
    let words =
        ["run", "kill", "--only", "kill-one", "--seed", "3", "--minutes", "0.25", "-o", "json", "--dir", dir];
    let (code, stdout, stderr) = place.run(&[&words[..], &["--yes-break", dir]].concat());
    assert_eq!(code, 0, "{stderr}{stdout}");
    let report: Value = serde_json::from_str(&stdout).expect("the report is JSON");
    assert!(report["troubles"].as_array().expect("troubles").len() >= 2, "{report}");
    let done_to = report["done_to"].to_string();
    assert!(done_to.contains("withdrawn") && !done_to.contains("could not"), "{done_to}");
    assert!(place.left().is_empty(), "everything was taken away");
    assert_eq!(fs::read(folder.join("genesis.toml")).expect("a genesis"), genesis);
    let mut mesh = open();
    mesh.start().expect("it starts again");
    let after = mesh.wait_for_agreement(RUN_WITHIN).expect("one head").height;
    assert!(after > before, "{after} follows {before}");
    let shown = clients[2].get(&format!("/v1/proposals/{}", vote.proposal())).expect("it is there");
    assert_ne!(shown["stage"], "cancelled", "what was there before the run is nobody's to withdraw: {shown}");
}

#[test]
fn the_list_names_every_kind_and_says_what_is_missing() {
    let (code, stdout, _) = Place::new().run(&["list", "-o", "json"]);
    assert_eq!(code, 0);
    let kinds: Vec<Value> = serde_json::from_str(&stdout).expect("it is JSON");
    assert!(kinds.len() >= 40, "{kinds:?}");
    for kind in &kinds {
        let is_told = kind["possible"] == true || (kind["why_not"].is_string() && kind["remedy"].is_string());
        assert!(is_told && kind["does"].is_string(), "{kind}");
    }
}

/// Breaks a mesh for a few seconds and reads the report.
fn broken_for_a_while(fault: &str) -> Value {
    let place = Place::new();
    let page = place.0.path().join("report.html");
    let words = [
        "run",
        fault,
        "--seed",
        "11",
        "--minutes",
        "0.3",
        "-o",
        "json",
        "--report",
        page.to_str().expect("text"),
    ];
    let (code, stdout, stderr) = place.run(&words);
    assert_eq!(code, 0, "{stderr}{stdout}");
    let report: Value = serde_json::from_str(&stdout).expect("the report is JSON");
    assert!(!report["troubles"].as_array().expect("troubles").is_empty(), "{report}");
    assert_eq!(report["repeat"], format!("althing chaos run {fault} --seed 11 --minutes 0.3 --nodes 4"));
    assert!(fs::read_to_string(&page).expect("a page").contains("<svg"));
    assert!(place.left().is_empty(), "everything was taken away");
    report
}

#[test]
fn a_mesh_whose_daemons_are_killed_keeps_every_promise() {
    let report = broken_for_a_while("kill");
    assert_eq!(report["passed"], true, "{report}");
}

#[test]
fn a_mesh_that_falls_apart_keeps_every_promise() {
    if let Err(lack) = Facility::Network.check() {
        let is_root = nix::unistd::Uid::effective().is_root();
        let is_package = lack.remedy.starts_with("apt-get");
        assert!(!(is_root && is_package), "`make test` installs what root needs: {lack}");
        println!("left out: {lack}");
        return;
    }
    let report = broken_for_a_while("partition");
    assert!(report["frames"]["passed"].as_u64().expect("frames") > 0, "{report}");
    assert_eq!(report["passed"], true, "{report}");
}

#[test]
fn what_a_killed_run_left_behind_is_cleaned_by_name() {
    let place = Place::new();
    let mut run = place.start(&["run", "mix", "--seed", "1", "--minutes", "5"]);
    run.wait_for_line("broken: ", BROKEN_WITHIN).expect("something is broken");
    let name = place.name_of_run();
    let (code, stdout, _) = place.run(&["clean"]);
    assert_eq!((code, stdout.as_str()), (0, "nothing was left behind\n"), "a run that goes on is left alone");
    run.kill().expect("it is killed");
    assert!(processes_of(&name) > 0 && scratch_of(&name).exists(), "its daemons outlive it");
    let (code, stdout, stderr) = place.run(&["clean", "-o", "json"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let removed: Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert_eq!(removed[0]["run"], name.as_str());
    assert_nothing_left(&name);
    assert!(place.left().is_empty());
}

#[test]
fn a_run_that_is_told_to_end_takes_everything_with_it() {
    let place = Place::new();
    let mut run = place.start(&["run", "kill", "--seed", "1", "--minutes", "5"]);
    run.wait_for_line("broken: ", BROKEN_WITHIN).expect("something is broken");
    let name = place.name_of_run();
    let pid = Pid::from_raw(i32::try_from(run.pid()).expect("a process id"));
    kill(pid, Signal::SIGTERM).expect("it runs");
    let status = run.wait_for_end(RUN_WITHIN).expect("it ends");
    assert_eq!(status.code(), Some(130), "{}", run.printed());
    assert_nothing_left(&name);
    assert!(place.left().is_empty());
}
