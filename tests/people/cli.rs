//! The command line as a person runs it, against the API.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use althing::api::backend::NodeRole;
use althing_contracts::testing::{self, World};
use serde_json::Value;
use tokio::process::Command;

use super::mesh::{Mesh, Served};

/// A command of a user who has nothing but the directory `home`.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_althing"));
    command.current_dir(home).env_clear().env("HOME", home).stdin(Stdio::null());
    command
}

/// Runs `althing` with words separated by spaces.
pub(crate) async fn run(home: &Path, words: &str) -> Ran {
    Ran(command(home).args(words.split(' ')).output().await.unwrap())
}

/// Runs commands that all have to work.
pub(crate) async fn run_all(home: &Path, all: &[String]) {
    for words in all {
        let ran = run(home, words).await;
        assert_eq!(ran.code(), 0, "{words}: {}", ran.stderr());
    }
}

pub(crate) struct Ran(Output);

impl Ran {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code(), 0, "{}", self.stderr());
        serde_json::from_str(self.stdout()).unwrap()
    }

    /// The failure as programs see it.
    pub(crate) fn failure(&self) -> String {
        let failure: Value = serde_json::from_str(self.stderr().lines().last().unwrap()).unwrap();
        assert_eq!(failure["exit"], self.code());
        let detail = failure.get("detail").unwrap_or(&failure["problem"]["detail"]);
        detail.as_str().unwrap().to_owned()
    }
}

pub(crate) async fn served() -> Served {
    served_by(World::new(4)).await
}

pub(crate) async fn served_by(world: World) -> Served {
    let served = Mesh::of(NodeRole::Validator, world).serve();
    let added = run(served.dir.path(), &format!("context add here {}", served.addr())).await;
    assert_eq!(added.code(), 0, "{}", added.stderr());
    served
}

pub(crate) fn example(name: &str) -> String {
    format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn a_person_drafts_plans_submits_reviews_votes_and_waits() {
    let served = served().await;
    let home = served.dir.path();
    let file = example("roll-greeter-2.toml");
    let plan = run(home, &format!("proposal plan {file}")).await;
    assert_eq!(plan.code(), 0, "{}", plan.stderr());
    assert!(
        plan.stdout().contains("acme-north   acme   nothing  greeter 2 x2  greeter removed"),
        "{}",
        plan.stdout()
    );
    let hash = run(home, &format!("proposal plan {file} -o name")).await.stdout().trim().to_owned();
    assert!(plan.stderr().contains(&format!("--plan-hash {hash}")), "{}", plan.stderr());

    let submitted =
        run(home, &format!("proposal submit {file} --plan-hash {hash} --as acme/author -o json")).await;
    let id = submitted.json()["proposal"]["id"].as_str().unwrap()[..8].to_owned();
    let review = run(home, &format!("proposal review {id} approve --hash {hash} --as birch/author")).await;
    assert_eq!(review.code(), 0, "{}", review.stderr());
    for (voter, choice) in [("acme/author", "yes"), ("birch/author", "yes"), ("cedar/author", "no")] {
        let vote = run(home, &format!("vote cast {id} {choice} --hash {hash} --as {voter}")).await;
        assert_eq!(vote.code(), 0, "{}", vote.stderr());
    }
    let explained = run(home, &format!("vote explain {id}")).await;
    assert!(explained.stdout().contains("300 of 400, needs 160"), "{}", explained.stdout());
    assert!(explained.stdout().contains("has voted against"), "{}", explained.stdout());

    let pending = run(home, &format!("proposal wait {id} --for queued --timeout 1ms -o json")).await;
    assert_eq!(pending.code(), 6, "{}", pending.stderr());
    assert_eq!(serde_json::from_str::<Value>(pending.stdout()).unwrap()["progress"], "pending");
    served.mesh.pass_to_deadline();
    served.mesh.pass_to_deadline();
    let reached = run(home, &format!("proposal wait {id} --for queued --timeout 20s")).await;
    assert_eq!(reached.code(), 0, "{}\n{}", reached.stdout(), reached.stderr());
    assert!(reached.stderr().contains(&format!("next: althing execution show {id}")));
    let shown = run(home, &format!("execution show {id} -o ndjson")).await;
    assert_eq!(shown.stdout().lines().count(), 8);
    let cancel = run(home, &format!("proposal cancel {id} --reason late --as acme/author -o json")).await;
    assert_eq!((cancel.code(), cancel.failure().starts_with("cancel is not possible while")), (5, true));
    served.api.stop().await;
}

#[tokio::test]
async fn a_wait_for_what_will_not_come_ends_at_once_with_the_reason() {
    let served = served().await;
    let id = served.mesh.vote_on("2").to_string();
    served.mesh.pass_to_deadline();
    let missed = run(served.dir.path(), &format!("proposal wait {id} --for executed -o json")).await;
    assert_eq!(missed.code(), 1);
    let short = &id[..8];
    assert!(
        missed.failure().starts_with(&format!("{short} is defeated and will not be executed: ")),
        "{}",
        missed.failure()
    );
    served.api.stop().await;
}

#[tokio::test]
async fn a_broken_hard_rule_is_told_before_and_after_submission() {
    let served = served().await;
    let home = served.dir.path();
    let file = example("residency-breach.toml");
    let plan = run(home, &format!("proposal plan {file}")).await;
    assert_eq!(plan.code(), 1);
    assert!(
        plan.stdout().contains("data-residency: class `personal` may be held in eu, acme-south is in us")
    );
    let submitted = run(home, &format!("proposal submit {file} --yes --as acme/author -o json")).await;
    assert_eq!(
        submitted.failure(),
        "rejected by the hard rule data-residency: class `personal` may be held in eu, acme-south is in us"
    );
    served.api.stop().await;
}

#[tokio::test]
async fn refusals_have_their_exit_codes_and_messages() {
    let served = served().await;
    let home = served.dir.path();
    let id = served.mesh.vote_on("2").to_string();
    let zeros = "0".repeat(64);
    let greeter = example("roll-greeter-2.toml");
    for (words, code, message) in [
        (format!("vote cast {id} yes --yes --as zeta/zoe"), 4, "zeta/zoe is not a member of this mesh"),
        (
            format!("vote cast {id} yes --yes --revision 9 --as birch/author"),
            5,
            "revision 9 is not the current one, which is 1",
        ),
        (format!("vote cast {id} yes --as birch/author --hash {zeros}"), 5, "the plan hash is "),
        (format!("proposal submit {greeter} --plan-hash {zeros} --as acme/author"), 5, "the plan hash is "),
        ("proposal show 00000000".to_owned(), 3, "there is no proposal 00000000"),
        (
            "proposal show xyz".to_owned(),
            2,
            "\"xyz\" is no proposal id; give its 64 hexadecimal digits or the first 6 or more",
        ),
        (format!("vote cast {id} yes --yes"), 2, "nobody is named to act as"),
        (format!("vote cast {id} yes --as birch/author"), 2, "not confirmed: web to 2: is the plan hash "),
        ("node status --context nowhere".to_owned(), 3, "there is no context nowhere"),
        (
            "node status --addr unix:/nowhere.sock".to_owned(),
            7,
            "the node at unix:/nowhere.sock cannot be reached: No such file or directory (os error 2)",
        ),
        (
            "node status --addr example.org".to_owned(),
            2,
            "`example.org` is no address of a node; write unix:/path/to/api.sock or http://127.0.0.1:PORT",
        ),
    ] {
        let ran = run(home, &format!("{words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(ran.failure().starts_with(message), "{words}: {}", ran.failure());
    }
    served.api.stop().await;
}

/// A proposal file with one change, and what `validate` says to it.
async fn validated(change: impl Fn(String) -> String) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(example("roll-greeter-2.toml")).unwrap();
    std::fs::write(home.path().join("change.toml"), change(text)).unwrap();
    run(home.path(), "proposal validate change.toml").await
}

/// Lines without the marks and breaks of the drawing, as one line.
fn plain(text: &str) -> String {
    text.lines().map(|line| line.trim_start_matches([' ', '×', '│'])).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn wrong_proposal_files_are_shown_at_the_place() {
    let unknown = validated(|text| text.replace("[health]\n", "[health]\nretries = 3\n")).await;
    assert_eq!(unknown.code(), 2);
    assert!(
        plain(unknown.stderr()).starts_with(
            "change.toml is wrong at line 21, column 1: unknown field `retries`, expected one of `path`, \
             `samples`, `success`, `latency_p95_ms`, `within_ms`"
        ),
        "{}",
        plain(unknown.stderr())
    );
    assert!(unknown.stderr().contains("[change.toml:21:1]"), "{}", unknown.stderr());
    assert!(unknown.stderr().contains("21 │ retries = 3"), "{}", unknown.stderr());

    let typed = validated(|text| text.replace("samples = 20", "samples = \"many\"")).await;
    assert!(
        plain(typed.stderr()).contains(
            "change.toml is wrong at line 22, column 11: invalid type: string \"many\", expected u16"
        ),
        "{}",
        plain(typed.stderr())
    );
    let unit = validated(|text| text.replace("within_ms = 20000", "within_ms = \"20s\"")).await;
    assert!(
        plain(unit.stderr()).contains("times are whole milliseconds, shares are written as \"9/10\""),
        "{}",
        plain(unit.stderr())
    );
    let ratio = validated(|text| text.replace("\"99/100\"", "\"101/100\"")).await;
    assert!(plain(ratio.stderr()).contains("101/100 is above 100 %"), "{}", ratio.stderr());
    let inner = validated(|text| text.replacen("instances = 2", "instance = 2", 1)).await;
    assert!(
        plain(inner.stderr())
            .contains("change.toml is wrong at line 37, column 144: unknown field `instance`"),
        "{}",
        plain(inner.stderr())
    );
    let bound = validated(|text| text.replacen("instances = 2", "instances = 17", 1)).await;
    assert!(
        plain(bound.stderr())
            .contains("change.toml: stages[0].steps[0].action.instances has 17; from 1 to 16 are allowed"),
        "{}",
        plain(bound.stderr())
    );
}

#[tokio::test]
async fn a_file_of_ten_megabytes_is_refused_before_it_is_read() {
    let ran = validated(|_| "#".repeat(10 * 1024 * 1024)).await;
    assert_eq!(ran.code(), 2);
    assert!(
        plain(ran.stderr()).starts_with("change.toml has 10485760 bytes, at most 262144 bytes are allowed"),
        "{}",
        plain(ran.stderr())
    );
}

#[tokio::test]
async fn a_draft_is_sound_and_never_overwrites() {
    let home = tempfile::tempdir().unwrap();
    let draft = run(home.path(), "proposal draft change.toml").await;
    assert_eq!((draft.code(), draft.stdout()), (0, ""));
    assert_eq!(run(home.path(), "proposal validate change.toml").await.code(), 0);
    let again = run(home.path(), "proposal draft change.toml -o json").await;
    assert_eq!((again.code(), again.failure().as_str()), (5, "change.toml exists and is not overwritten"));
}

#[tokio::test]
async fn events_are_tailed_from_a_number() {
    let served = served().await;
    served.mesh.vote_on("2");
    let all = run(served.dir.path(), "event tail --after 0 --count 3 -o ndjson").await;
    let ids: Vec<Value> =
        all.stdout().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    let one = run(served.dir.path(), "event tail --after 1 --type reviewed --count 1").await;
    assert!(one.stdout().contains("reviewed"), "{}", one.stdout());
    let wrong = run(served.dir.path(), "event tail --type gossip -o json").await;
    assert_eq!(wrong.code(), 2);
    served.api.stop().await;
}

#[tokio::test]
async fn a_bundle_is_exported_verified_and_a_changed_one_is_not() {
    let served = served().await;
    let home = served.dir.path();
    served.mesh.vote_on("2");
    let exported = run(home, "audit export mesh.bundle").await;
    assert_eq!((exported.code(), exported.stdout()), (0, "mesh.bundle\n"), "{}", exported.stderr());
    assert!(!home.join("mesh.bundle.part").exists());
    assert_eq!(run(home, "audit export mesh.bundle").await.code(), 5);
    served.api.stop().await;

    let report = run(home, "audit verify mesh.bundle -o json").await.json();
    assert_eq!(report["height"], 2);
    let network = report["network"].as_str().unwrap();
    assert_eq!(run(home, &format!("audit verify mesh.bundle --genesis {network}")).await.code(), 0);
    let other = "0".repeat(64);
    let other = run(home, &format!("audit verify mesh.bundle --genesis {other} -o json")).await;
    assert_eq!(other.code(), 1);
    let mut bytes = std::fs::read(home.join("mesh.bundle")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(home.join("mesh.bundle"), bytes).unwrap();
    let flipped = run(home, "audit verify mesh.bundle -o json").await;
    assert_eq!(flipped.code(), 1);
    assert!(
        flipped.failure().starts_with("mesh.bundle does not verify: record 4 (trailer"),
        "{}",
        flipped.failure()
    );
    assert_eq!(run(home, "audit verify nothing.bundle").await.code(), 3);
}

#[tokio::test]
async fn contexts_name_nodes_and_members() {
    let served = served().await;
    let home = served.dir.path();
    let url = served.url("");
    run(home, &format!("context add there {url} --as birch/author")).await;
    assert_eq!(run(home, "context list -o name").await.stdout(), "here\nthere\n");
    assert_eq!(run(home, "context use there").await.code(), 0);
    let shown = run(home, "config show").await;
    assert!(shown.stdout().contains("birch/author"), "{}", shown.stdout());
    let status = run(home, "node status -o json").await.json();
    assert_eq!(status["name"], "acme");
    let id = served.mesh.vote_on("2").to_string();
    let vote = run(home, &format!("vote cast {id} yes --yes -o json")).await.json();
    assert_eq!(vote["events"][0]["voter"], "birch/author");
    assert_eq!(run(home, "context use nowhere").await.code(), 3);
    std::fs::write(home.join(".config/althing/contexts.toml"), "current = 5\n").unwrap();
    let broken = run(home, "node status -o json").await;
    assert_eq!(broken.code(), 8);
    assert!(
        broken.failure().contains("contexts.toml is wrong at line 1, column 11: invalid type: integer `5`")
    );
    served.api.stop().await;
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly() {
    let served = served().await;
    let mut child = command(served.dir.path())
        .args(["event", "tail", "--after", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    served.mesh.vote_on("2");
    let ended = Ran(child.wait_with_output().await.unwrap());
    assert_eq!((ended.code(), ended.stderr()), (0, ""));
    served.api.stop().await;
}

#[tokio::test]
async fn every_command_completes_and_tells_its_version() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(home.path(), &format!("completion {shell}")).await.stdout().contains("proposal"));
    }
    let version = run(home.path(), "version -o json").await.json();
    assert_eq!((version["protocol"].as_u64(), version["document_schema"].as_u64()), (Some(1), Some(1)));
    assert_eq!(testing::line(version["version"].as_str().unwrap()).as_str(), env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_nodes_configuration_is_shown_with_origins_or_the_place_of_its_error() {
    let home = tempfile::tempdir().unwrap();
    let text = "schema = 1\n\n[node]\nname = \"acme\"\nport = 5\n";
    std::fs::write(home.path().join("node.toml"), text).unwrap();
    let wrong = run(home.path(), "config show -c node.toml -o json").await;
    assert_eq!(wrong.code(), 8);
    assert!(wrong.failure().starts_with("node.toml:5:1: "), "{}", wrong.failure());
    assert!(wrong.failure().ends_with("5 | port = 5\n  | ^^^^"), "{}", wrong.failure());
    let missing = run(home.path(), "config show -c nothing.toml -o json").await;
    assert_eq!(missing.failure(), "nothing.toml: the configuration file does not exist");
}
