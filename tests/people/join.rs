//! An organisation joins a mesh of real daemons: it makes its keys, is drafted, decided and let in, and its validator votes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use althing_chaos::process::{
    Process,
    mesh::{Node, ProcessMesh, STOP_TIMEOUT},
};
use althing_netconfig::config::{Config, ExecutorSection};
use serde_json::Value;
use tempfile::TempDir;

const ORGANISATIONS: [&str; 4] = ["acme", "birch", "cedar", "delta"];
/// Governance periods of days become seconds.
const DIVISOR: u64 = 86_400;
/// Longest time until a daemon listens.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A running mesh, and a folder for who comes from outside.
struct Founded {
    mesh: ProcessMesh,
    folder: TempDir,
}

impl Founded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_althing"));
        let mut mesh = ProcessMesh::init(binary, &folder.path().join("mesh"), &ORGANISATIONS).unwrap();
        mesh.divide_periods(DIVISOR).unwrap();
        mesh.start().unwrap();
        Self { mesh, folder }
    }

    fn node(&self, name: &str) -> &Node {
        self.mesh.nodes().iter().find(|node| node.name() == name).unwrap()
    }

    fn ask(&self, folder: &Path, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_althing"));
        let address = format!("unix:{}", folder.join("api.sock").display());
        command.env_clear().env("HOME", self.folder.path()).stdin(Stdio::null());
        command.current_dir(self.folder.path());
        command.args(["--addr", &address, "-o", "json"]).args(words.split(' '));
        command.output().unwrap()
    }

    fn run(&self, node: &str, words: &str) -> Value {
        shown(&self.ask(self.node(node).folder(), words))
    }

    /// A new key of echo's; its public half.
    fn key(&self, purpose: &str, file: &str) -> String {
        let made = self.run("acme", &format!("key new {purpose} echo/keys/{file}"));
        made["public_key"].as_str().unwrap().to_owned()
    }

    /// The configuration of a node that nobody knows so far.
    fn configure(&self) -> PathBuf {
        let own = self.folder.path().join("echo");
        let mut config = Config::load(self.node("acme").config(), []).unwrap().config;
        config.node.name = "echo".parse().unwrap();
        config.node.org = "echo".parse().unwrap();
        config.node.data_dir = own.join("data");
        config.node.joined_later = true;
        config.identity.node_key_file = own.join("keys/node.key");
        config.identity.consensus_key_file = Some(own.join("keys/consensus.key"));
        config.keys.directory = own.join("keys");
        config.p2p.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
        config.api.socket = Some(own.join("api.sock"));
        config.api.listen = None;
        config.admin.listen = None;
        config.executor = ExecutorSection::default();
        // A node does not dial itself, so that what one dials lacks that one; validators talk to each other without detours.
        let of_birch = Config::load(self.node("birch").config(), []).unwrap().config.p2p.bootstrap;
        config.p2p.bootstrap.extend(of_birch);
        config.p2p.bootstrap.sort_by_key(|known| known.node);
        config.p2p.bootstrap.dedup_by_key(|known| known.node);
        let file = own.join("node.toml");
        std::fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
        file
    }

    /// Brings a proposal of acme's into force.
    fn decide(&self, file: &str) {
        let plan = self.run("acme", &format!("proposal plan {file}"));
        assert_eq!(plan["track"], "constitutional", "{plan}");
        let hash = plan["plan"]["plan_hash"].as_str().unwrap();
        let submit = format!("proposal submit {file} --plan-hash {hash} --as acme/alice");
        let id = self.run("acme", &submit)["proposal"]["id"].as_str().unwrap().to_owned();
        for org in ["birch", "cedar", "delta"] {
            self.run(org, &format!("proposal review {id} approve --hash {hash} --as {org}/rita"));
        }
        for org in ORGANISATIONS {
            self.run(org, &format!("vote cast {id} yes --hash {hash} --as {org}/vera"));
        }
        self.run("acme", &format!("proposal wait {id} --for queued --timeout 2m"));
        for org in ["birch", "cedar"] {
            self.run(org, &format!("proposal cosign {id} --hash {hash} --as {org}/gert"));
        }
        self.run("acme", &format!("proposal wait {id} --for executed --timeout 2m"));
    }
}

fn shown(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[test]
fn an_organisation_joins_a_running_mesh_and_its_validator_is_needed() {
    let mut founded = Founded::new();
    let [node, consensus] =
        ["node", "consensus"].map(|purpose| founded.key(purpose, &format!("{purpose}.key")));
    let voter = founded.key("voter", "zoe.voter.key");
    let seat =
        format!("mesh draft join.toml organisation echo --weight 1 --node {node} --consensus {consensus}");
    founded.run("acme", &seat);
    founded
        .run("acme", &format!("mesh draft join.toml --add member echo/zoe --weight 100 --key voter={voter}"));
    let config = founded.configure();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_althing"));
    daemon.args(["node", "run", "-c"]).arg(config).env("RUST_LOG", "althing=info,warn");
    let mut echo = Process::spawn("echo", &mut daemon).unwrap();
    echo.wait_for_line("node started", START_TIMEOUT).unwrap();
    founded.decide("join.toml");

    let own = founded.folder.path().join("echo");
    // What acme showed is shown by no older state.
    let seen = shown(&founded.ask(&own, "mesh organisations"));
    assert_eq!(seen.as_array().unwrap().len(), 5, "{seen}");

    // Four of five decide; without delta, echo is one of them.
    founded.mesh.nodes_mut().iter_mut().find(|node| node.name() == "delta").unwrap().kill().unwrap();
    let file = format!("{}/examples/install-greeter-1.toml", env!("CARGO_MANIFEST_DIR"));
    let plan = founded.run("acme", &format!("proposal plan {file}"));
    let hash = plan["plan"]["plan_hash"].as_str().unwrap();
    let submit = format!("proposal submit {file} --plan-hash {hash} --as acme/alice");
    let id = founded.run("acme", &submit)["proposal"]["id"].as_str().unwrap().to_owned();
    founded.run("birch", &format!("proposal review {id} approve --hash {hash} --as birch/rita"));
    let cast = shown(&founded.ask(&own, &format!("vote cast {id} yes --hash {hash} --as echo/zoe")));
    assert_eq!(cast["proposal"]["stage"], "voting", "{cast}");
    echo.terminate().unwrap();
    assert!(echo.wait_for_end(STOP_TIMEOUT).unwrap().success());
}
