//! A real service for the tests of the provider, and a site to run it on. The service is this test binary: the
//! provider starts it again with the arguments of one test, which serves until it is ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use althing_contracts::{
    digest::Digest,
    document::Action,
    genesis::{TargetRecord, Tier},
    name::OrgId,
    quantity::TimeMs,
    testing::{line, member, name, target},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    executor::{
        health::HttpProber,
        local::{CommandTemplate, LocalProvider, LocalTarget, process::Identity, state_file::TargetState},
    },
    port::{Clock, TargetContext},
};

/// A site with endpoints on free ports.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    addresses: Vec<String>,
}

struct NoTime;

impl Clock for NoTime {
    fn now(&self) -> TimeMs {
        TimeMs::ZERO
    }
}

impl Site {
    pub(crate) fn new(instances: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("artefacts")).unwrap();
        let free = |_| TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners: Vec<TcpListener> = (0..instances).map(free).collect();
        let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
        Self { dir, addresses }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn address(&self, instance: usize) -> &str {
        &self.addresses[instance]
    }

    pub(crate) fn record(&self) -> TargetRecord {
        let endpoint = |address: &String| line(&format!("http://{address}"));
        TargetRecord {
            owner: OrgId::new("acme").unwrap(),
            provider: name("local"),
            jurisdiction: name("eu"),
            tier: Tier::Medium,
            endpoints: self.addresses.iter().map(endpoint).collect(),
            executors: BTreeSet::from([member("acme/executor")]),
        }
    }

    pub(crate) fn context(&self) -> TargetContext {
        TargetContext { id: target("acme-north"), record: self.record() }
    }

    pub(crate) fn open(&self) -> LocalProvider {
        self.open_with(&(Arc::new(NoTime) as Arc<dyn Clock>))
    }

    pub(crate) fn open_with(&self, clock: &Arc<dyn Clock>) -> LocalProvider {
        let targets = BTreeMap::from([(target("acme-north"), self.config())]);
        LocalProvider::open(targets, clock, Arc::new(HttpProber::new().unwrap())).unwrap()
    }

    fn config(&self) -> LocalTarget {
        let service = std::env::current_exe().unwrap();
        let args = [
            "LISTEN={listen}",
            "RELEASE={artefact}",
            service.to_str().unwrap(),
            "--exact",
            "executor::local::tests::service::serves_when_the_provider_says_so",
            "--nocapture",
        ];
        let command =
            CommandTemplate { program: "/usr/bin/env".to_owned(), args: args.map(str::to_owned).to_vec() };
        LocalTarget {
            root: self.root(),
            artefacts: self.dir.path().join("artefacts"),
            commands: BTreeMap::from([(name("web"), command)]),
            files: BTreeMap::from([(name("settings"), PathBuf::from("settings.toml"))]),
            instances_max: 4,
            log_len_max: 1_000_000,
            ready_within_ms: 10_000,
            stop_within_ms: 2_000,
        }
    }

    /// Puts a release with this content into the artefact directory.
    pub(crate) fn release(&self, version: &str, content: &str) -> Action {
        let artefact = self.artefact(content);
        let instances = u8::try_from(self.addresses.len()).unwrap();
        Action::Deploy { service: name("web"), version: name(version), artefact, instances }
    }

    pub(crate) fn settings(&self, version: &str, content: &str) -> Action {
        Action::Configure { file: name("settings"), version: name(version), artefact: self.artefact(content) }
    }

    fn artefact(&self, content: &str) -> Digest {
        let file = content.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        fs::write(self.dir.path().join("artefacts").join(file), content).unwrap();
        Digest::of_artefact(content.as_bytes())
    }

    /// Status and body that each instance answers with; waits until it does.
    pub(crate) async fn answers(&self) -> Vec<String> {
        let mut answers = Vec::new();
        for address in &self.addresses {
            let answer = tokio::time::timeout(Duration::from_secs(20), answer(address)).await;
            answers.push(answer.expect("an answer in time"));
        }
        answers
    }

    /// The recorded processes in order.
    pub(crate) fn processes(&self) -> Vec<Identity> {
        let state = TargetState::load(&self.root().join("state.json")).unwrap();
        let instances = state.instances.into_values().flatten();
        instances.filter_map(|(_, instance)| instance.process).collect()
    }
}

impl Drop for Site {
    /// Services outlive their node, so a test that fails would leave them.
    fn drop(&mut self) {
        for identity in self.processes() {
            let _ended = kill(Pid::from_raw(identity.pid), Signal::SIGKILL);
        }
    }
}

async fn answer(address: &str) -> String {
    let mut attempts = tokio::time::interval(Duration::from_millis(5));
    loop {
        attempts.tick().await;
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let mut text = String::new();
        let asked = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        if asked.is_ok() && stream.read_to_string(&mut text).await.is_ok() && !text.is_empty() {
            let status = text.split(' ').nth(1).unwrap().to_owned();
            return format!("{status} {}", text.rsplit("\r\n").next().unwrap());
        }
    }
}

/// The service: what it does is the content of its release. Does nothing when the tests are run.
#[test]
fn serves_when_the_provider_says_so() {
    let (Ok(listen), Ok(release)) = (std::env::var("LISTEN"), std::env::var("RELEASE")) else { return };
    let release = fs::read_to_string(release).unwrap();
    let (what, text) = release.split_once(' ').unwrap_or((&release, ""));
    match what {
        "crash" => {
            println!("{text}");
            std::process::exit(3);
        }
        "hang" => loop {
            std::thread::park();
        },
        "wait-for-file" => {
            while !PathBuf::from("go").exists() {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            serve(&listen, "200", text);
        }
        _ => serve(&listen, if what == "broken" { "500" } else { "200" }, text),
    }
}

fn serve(listen: &str, status: &str, body: &str) {
    for stream in TcpListener::bind(listen).unwrap().incoming() {
        let Ok(mut stream) = stream else { continue };
        let _asked = stream.read(&mut [0; 1024]);
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close", body.len());
        let _told = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
    }
}
