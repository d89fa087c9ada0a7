//! Owns a mesh as `althing init mesh` writes it, and what the program answers when something in it is wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use althing_chaos::process::Process;
use serde_json::Value;
use tempfile::TempDir;

/// Longest time until a command has ended.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time until a daemon is up.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What a daemon prints when its API can be reached.
const STARTED: &str = "node started";

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_althing");

/// The files of four organisations and an auditor.
pub(crate) struct Written {
    folder: TempDir,
}

/// How a command ended, as programs see it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) exit: i32,
    pub(crate) detail: String,
    pub(crate) help: Option<String>,
}

impl Written {
    pub(crate) fn new() -> Self {
        let written = Self { folder: tempfile::tempdir().unwrap() };
        let mut init = command(&["init", "mesh", "--orgs", "acme,birch,cedar,delta"]);
        init.arg(written.folder.path().join("mesh"));
        let output = init.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        written
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("mesh").join(file)
    }

    /// Replaces the first `from` in a file.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`:\n{text}");
        fs::write(self.path(file), text.replacen(from, to, 1)).unwrap();
    }

    /// The first line of a file that begins with `start`.
    pub(crate) fn line(&self, file: &str, start: &str) -> String {
        let text = fs::read_to_string(self.path(file)).unwrap();
        text.lines().find(|line| line.starts_with(start)).unwrap().to_owned()
    }

    fn node(&self, node: &str) -> Command {
        let mut run = command(&["node", "run", "-o", "json", "-c"]);
        run.arg(self.path(&format!("{node}/node.toml"))).env("RUST_LOG", "althing=info,warn");
        run
    }

    /// Starts a node that comes up; `change` may change its command.
    pub(crate) fn start_with(&self, node: &str, change: impl FnOnce(&mut Command)) -> Process {
        let mut run = self.node(node);
        change(&mut run);
        let process = Process::spawn(node, &mut run).unwrap();
        process.wait_for_line(STARTED, START_TIMEOUT).unwrap();
        process
    }

    /// Starts a node that comes up.
    pub(crate) fn start(&self, node: &str) -> Process {
        self.start_with(node, |_| {})
    }

    /// Starts a node that does not come up. The folder's name is `DIR` in what it says.
    pub(crate) fn refusal(&self, node: &str) -> Refusal {
        self.ended(self.node(node))
    }

    /// Runs a command that is refused. The folder's name is `DIR` in what it says.
    pub(crate) fn ended(&self, mut command: Command) -> Refusal {
        ended(&mut command, &self.path(""))
    }
}

/// Runs a command that is refused; `folder` is shown as `DIR/`.
pub(crate) fn ended(command: &mut Command, folder: &Path) -> Refusal {
    let mut process = Process::spawn("althing", command).unwrap();
    let status = process.wait_for_end(END_TIMEOUT).unwrap();
    let printed = process.printed().replace(folder.to_str().unwrap(), "DIR/").replace("DIR//", "DIR/");
    let failure = printed.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let failure = failure.unwrap_or_else(|| panic!("no failure in:\n{printed}"));
    assert_eq!(failure["exit"], status.code().unwrap());
    let text = |name: &str| failure[name].as_str().map(str::to_owned);
    Refusal { exit: status.code().unwrap(), detail: text("detail").unwrap_or_default(), help: text("help") }
}

/// The program with nothing of the user's own around it.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(words).env_clear().env("HOME", "/nonexistent");
    command
}
