//! What people meet on real daemons: what one node acknowledged at the next one, and readiness of a minority.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use althing_chaos::{
    http::Endpoint,
    process::mesh::{Node, ProcessMesh},
};
use serde_json::Value;
use tempfile::TempDir;

/// Longest time until a node notices who is there and who is gone.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(40);
/// How often a node is asked how it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A mesh of daemons and a user whose commands share one home.
struct User {
    mesh: ProcessMesh,
    folder: TempDir,
}

impl User {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_althing"));
        let organisations = ["acme", "birch", "cedar", "delta"];
        let mut mesh = ProcessMesh::init(binary, &folder.path().join("mesh"), &organisations).unwrap();
        mesh.start().unwrap();
        Self { mesh, folder }
    }

    fn node(&self, name: &str) -> &Node {
        self.mesh.nodes().iter().find(|node| node.name() == name).unwrap()
    }

    /// A command at a node, its words separated by spaces.
    fn command(&self, node: &str, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_althing"));
        let address = format!("unix:{}", self.node(node).folder().join("api.sock").display());
        command.env_clear().env("HOME", self.folder.path()).stdin(Stdio::null());
        command.args(["--addr", &address, "-o", "json"]).args(words.split(' '));
        command
    }

    fn run(&self, node: &str, words: &str) -> Value {
        shown(&self.command(node, words).output().unwrap())
    }
}

fn shown(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The status and text of a path on a node's admin listener.
fn admin(node: &Node, path: &str) -> (u16, String) {
    let text = std::fs::read_to_string(node.folder().join("node.toml")).unwrap();
    let config: toml::Table = toml::from_str(&text).unwrap();
    let address: SocketAddr = config["admin"]["listen"].as_str().unwrap().parse().unwrap();
    let mut connection = Endpoint::Tcp(address).connect(NOTICE_TIMEOUT).unwrap();
    let answer = connection.request("GET", path, &[], &[]).unwrap();
    (answer.status, answer.text())
}

/// Waits until a node's readiness is as wanted, and yields its lines.
fn wait_until_ready(node: &Node, ready: bool) -> String {
    let begun = Instant::now();
    loop {
        let (status, text) = admin(node, "/readyz");
        if (status == 200) == ready {
            return text;
        }
        assert!(begun.elapsed() < NOTICE_TIMEOUT, "{} says {status}: {text}", node.name());
        thread::park_timeout(LOOK_EVERY);
    }
}

#[test]
fn what_one_node_acknowledged_the_next_one_shows_and_acts_on_at_once() {
    let user = User::new();
    let file = format!("{}/examples/install-greeter-1.toml", env!("CARGO_MANIFEST_DIR"));
    let plan = user.run("acme", &format!("proposal plan {file}"));
    let hash = plan["plan"]["plan_hash"].as_str().unwrap().to_owned();

    // A node that misses the block: it is asked while it stands still, and goes on with the question waiting.
    let birch = user.node("birch").process().unwrap();
    birch.freeze().unwrap();
    let submitted = user.run("acme", &format!("proposal submit {file} --plan-hash {hash} --as acme/alice"));
    let id = submitted["proposal"]["id"].as_str().unwrap().to_owned();
    let mut asked = user.command("birch", &format!("proposal show {id}"));
    let asked = asked.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    birch.thaw().unwrap();
    assert_eq!(shown(&asked.wait_with_output().unwrap())["id"], id.as_str());

    user.run("birch", &format!("proposal review {id} approve --hash {hash} --as birch/rita"));
    for node in ["cedar", "delta", "acme"] {
        let vote = user.run(node, &format!("vote cast {id} yes --hash {hash} --as {node}/vera"));
        assert_eq!(vote["proposal"]["stage"], "voting", "{vote}");
        let listed = user.run("birch", &format!("vote list {id}"));
        assert!(listed.to_string().contains(&format!("{node}/vera")), "{listed}");
    }
    assert_eq!(user.run("auditor-1", &format!("vote list {id}"))["ballots"].as_array().unwrap().len(), 3);
}

#[test]
fn a_node_in_a_minority_lives_and_is_not_ready() {
    let mut user = User::new();
    for node in user.mesh.nodes() {
        wait_until_ready(node, true);
    }
    for node in user.mesh.nodes_mut().iter_mut().filter(|node| ["cedar", "delta"].contains(&node.name())) {
        node.kill().unwrap();
    }
    for (name, included) in
        [("acme", ", this one included"), ("birch", ", this one included"), ("auditor-1", "")]
    {
        let node = user.node(name);
        let text = wait_until_ready(node, false);
        let start = format!("[-]validators failed: 2 of 4 validators are connected{included}: weight ");
        let line = text.lines().next().unwrap();
        assert!(line.starts_with(&start), "{text}");
        assert!(line.contains("cedar") && line.contains("delta") && !line.contains("birch"), "{text}");
        assert!(text.contains("[+]log ok\n"), "{text}");
        assert_eq!(admin(node, "/livez"), (200, "[+]api ok\n".to_owned()));
    }
    user.mesh.start().unwrap();
    for node in user.mesh.nodes() {
        let text = wait_until_ready(node, true);
        assert!(text.starts_with("[+]validators ok\n"), "{text}");
    }
}
