//! Owns what is said about the machine: without it no figure can be compared with another day's.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use serde_json::{Map, Value, json};

use super::statistics::{Latencies, timed};

/// Bytes of each trial write: a small log record.
const RECORD_LEN: usize = 200;
/// Trial writes.
const SYNCS: usize = 300;

/// Where runs and reports are kept: below the target directory, so on the disk that the project is on.
pub(crate) fn bench_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench")
}

/// Facts of the machine, its disk included.
pub(crate) fn facts(folder: &Path) -> io::Result<Map<String, Value>> {
    let syncs = append_and_sync(folder)?;
    let mut facts = Map::new();
    facts.insert("cores".into(), json!(thread::available_parallelism()?.get()));
    facts.insert("processor".into(), json!(field("/proc/cpuinfo", "model name")));
    facts.insert("memory".into(), json!(field("/proc/meminfo", "MemTotal")));
    facts.insert("kernel".into(), json!(fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()));
    facts.insert("rustc".into(), json!(first_line("rustc")));
    facts.insert("etcd".into(), json!(first_line("etcd")));
    facts.insert("disk_append_and_sync_p50_ms".into(), json!(syncs.percentile_ms(50)));
    facts.insert("disk_append_and_sync_p95_ms".into(), json!(syncs.percentile_ms(95)));
    Ok(facts)
}

fn append_and_sync(folder: &Path) -> io::Result<Latencies> {
    let mut file = File::create(folder.join("trial"))?;
    let mut latencies = Latencies::default();
    for _ in 0..SYNCS {
        let (result, latency) = timed(|| file.write_all(&[7; RECORD_LEN]).and_then(|()| file.sync_data()));
        result?;
        latencies.push(latency);
    }
    Ok(latencies)
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, value) = text.lines().find(|line| line.starts_with(name))?.split_once(':')?;
    Some(value.trim().to_owned())
}

fn first_line(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
}
