//! A validator whose clock is ten minutes off: its blocks are refused, the others go on, and it says so.

use std::{path::Path, process::Command, time::Duration};

use althing_chaos::{
    http::Endpoint,
    process::{mesh::ProcessMesh, vote::OpenVote},
};

use crate::program::{PROGRAM, Written};

/// Shifts the wall clock of the program that loads it; `dlsym` finds the function that it stands before.
const SHIFT: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *time) {
    static int (*system)(clockid_t, struct timespec *);
    if (!system) system = dlsym(RTLD_NEXT, "clock_gettime");
    int result = system(id, time);
    if (result == 0 && id == CLOCK_REALTIME) time->tv_sec += atol(getenv("SHIFT_S"));
    return result;
}
"#;
/// Longest time until a node answers.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(20);
/// Proposals until the clock is noticed, at two blocks each.
const PROPOSALS_MAX: usize = 80;
/// How long the node's log is looked at after each.
const LOOK_FOR: Duration = Duration::from_millis(250);

/// Builds [`SHIFT`] with the C compiler that Rust links by.
fn build_shift(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("shift.c"), folder.join("shift.so"));
    std::fs::write(&source, SHIFT).unwrap();
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compile.status().unwrap().success());
    library
}

/// Runs a mesh whose `delta` has its clock shifted, and yields what `delta` and `acme` say of their readiness.
fn readiness(shift_s: i64) -> [(u16, String); 2] {
    let mesh = Written::new();
    let shift = build_shift(&mesh.path(""));
    let _honest = ["acme", "birch", "cedar"].map(|node| mesh.start(node));
    let delta = mesh.start_with("delta", |command| {
        command.env("LD_PRELOAD", shift).env("SHIFT_S", shift_s.to_string());
    });
    let nodes = ProcessMesh::open(Path::new(PROGRAM), &mesh.path("")).unwrap();
    let [acme, birch] = [0, 1].map(|at| nodes.nodes()[at].client());
    // It takes a block of each of most others, that is judged while it is fresh.
    let told = "this machine's clock differs from most validators'";
    let is_told = (0..PROPOSALS_MAX).any(|at| {
        let (author, reviewer) = if at % 2 == 0 { (acme, birch) } else { (birch, acme) };
        OpenVote::begin(author, reviewer).expect("the mesh goes on");
        delta.wait_for_line(told, LOOK_FOR).is_ok()
    });
    assert!(is_told, "{:?}", delta.wait_for_line(told, LOOK_FOR));
    ["delta", "acme"].map(|node| {
        let admin = admin(&mesh, node);
        let answer = Endpoint::Tcp(admin).connect(NOTICE_TIMEOUT).unwrap();
        let answer = { answer }.request("GET", "/readyz", &[], &[]).unwrap();
        (answer.status, answer.text())
    })
}

fn admin(mesh: &Written, node: &str) -> std::net::SocketAddr {
    let text = std::fs::read_to_string(mesh.path(&format!("{node}/node.toml"))).unwrap();
    let section = text.split("[admin]\nlisten = \"").nth(1).unwrap();
    section.split('"').next().unwrap().parse().unwrap()
}

#[test]
fn a_clock_ten_minutes_ahead_is_told_while_the_mesh_goes_on() {
    let [(status, delta), (_, acme)] = readiness(600);
    assert_eq!(status, 503);
    let told = " s ahead of most validators'; check its time service\n";
    assert!(delta.contains("[-]clock failed: this machine's clock is ") && delta.contains(told), "{delta}");
    assert!(acme.contains("[+]clock ok\n"), "{acme}");
}

#[test]
fn a_clock_ten_minutes_behind_is_told_while_the_mesh_goes_on() {
    let [(status, delta), (_, acme)] = readiness(-600);
    assert_eq!(status, 503);
    let told = " s behind most validators'; check its time service\n";
    assert!(delta.contains("[-]clock failed: this machine's clock is ") && delta.contains(told), "{delta}");
    assert!(acme.contains("[+]clock ok\n"), "{acme}");
}
