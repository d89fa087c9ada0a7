//! Owns the bounds of a configuration: what types alone cannot say, each with the path it is about.

use std::net::SocketAddr;

use super::section::{CommandSection, Config, NodeRole, TargetSection};
use crate::mesh;

/// Version of the form.
pub const CONFIG_SCHEMA: u16 = 1;
/// Addresses that one node listens on or dials.
const ADDRESSES_MAX: usize = 1_000;
/// Nodes connected at once.
const PEERS_MAX: u32 = 4_096;
/// Steps carried out at once.
const PARALLEL_MAX: u16 = 64;
/// Instances of one service on one target.
const INSTANCES_MAX: u8 = 16;
/// Bytes of one log.
const LOG_LEN_MAX: u64 = 1024 * 1024 * 1024;
/// Longest wait for an instance, in milliseconds.
const WAIT_MS_MAX: u64 = 10 * 60 * 1_000;

/// What is wrong at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: Vec<String>,
    pub(super) message: String,
    pub(super) help: String,
}

type Checked = Result<(), Finding>;

/// Finds the first value outside its bounds.
pub(super) fn check(config: &Config) -> Checked {
    range(&["schema"], config.schema, CONFIG_SCHEMA, CONFIG_SCHEMA)?;
    check_role(config)?;
    check_p2p(config)?;
    check_listeners(config)?;
    range(&["executor", "max_parallel"], config.executor.max_parallel, 1, PARALLEL_MAX)?;
    for (target, section) in &config.executor.targets {
        check_target(&["executor", "targets", target.as_str()], section)?;
    }
    Ok(())
}

fn check_role(config: &Config) -> Checked {
    match (config.node.role, &config.identity.consensus_key_file) {
        (NodeRole::Validator, None) => Err(finding(
            &["identity"],
            "a validator needs a key for consensus".into(),
            "add `consensus_key_file = \"keys/consensus.key\"`",
        )),
        (NodeRole::Auditor, Some(_)) => Err(finding(
            &["identity", "consensus_key_file"],
            "an auditor signs no consensus messages".into(),
            "remove `consensus_key_file`, or set `node.role = \"validator\"`",
        )),
        (NodeRole::Auditor, None) if config.executor.enabled => Err(finding(
            &["executor", "enabled"],
            "an auditor carries nothing out".into(),
            "set `executor.enabled = false`, or `node.role = \"validator\"`",
        )),
        _ => Ok(()),
    }
}

fn check_p2p(config: &Config) -> Checked {
    let p2p = &config.p2p;
    range(&["p2p", "max_peers"], p2p.max_peers, 1, PEERS_MAX)?;
    range(&["p2p", "listen"], p2p.listen.len(), 1, ADDRESSES_MAX)?;
    range(&["p2p", "bootstrap"], p2p.bootstrap.len(), 0, ADDRESSES_MAX)?;
    for (index, bootstrap) in p2p.bootstrap.iter().enumerate() {
        if let Err(error) = mesh::check_dial_address(&bootstrap.address) {
            let path = ["p2p", "bootstrap", &index.to_string(), "address"];
            return Err(finding(&path, error.to_string(), "give the address at which that node listens"));
        }
    }
    Ok(())
}

fn check_listeners(config: &Config) -> Checked {
    let loopback = |path: &[&str], address: Option<SocketAddr>| match address {
        Some(address) if !address.ip().is_loopback() => Err(finding(
            path,
            format!("{address} can be reached from other machines, and this port has no authentication"),
            "listen on 127.0.0.1 or [::1]",
        )),
        _ => Ok(()),
    };
    loopback(&["api", "listen"], config.api.listen)?;
    loopback(&["admin", "listen"], config.admin.listen)
}

fn check_target(path: &[&str], target: &TargetSection) -> Checked {
    let at = |field| [path, &[field]].concat();
    range(&at("instances_max"), target.instances_max, 1, INSTANCES_MAX)?;
    range(&at("log_len_max"), target.log_len_max, 1, LOG_LEN_MAX)?;
    range(&at("ready_within_ms"), target.ready_within_ms, 1, WAIT_MS_MAX)?;
    range(&at("stop_within_ms"), target.stop_within_ms, 1, WAIT_MS_MAX)?;
    for (name, command) in &target.commands {
        check_command(&[path, &["commands", name.as_str(), "program"]].concat(), command)?;
    }
    for (name, file) in &target.files {
        if file.components().any(|part| part.as_os_str() == "..") {
            let message = format!("{} leaves its directory by `..`", file.display());
            return Err(finding(
                &[path, &["files", name.as_str()]].concat(),
                message,
                "write the path without `..`",
            ));
        }
    }
    Ok(())
}

fn check_command(path: &[&str], command: &CommandSection) -> Checked {
    if command.program == "{artefact}" || command.program.starts_with('/') {
        return Ok(());
    }
    let message = format!("`{}` is looked up in a search path that others may change", command.program);
    Err(finding(path, message, "give an absolute path, or `{artefact}` to run the artefact itself"))
}

fn range<T: Copy + PartialOrd + std::fmt::Display>(path: &[&str], found: T, min: T, max: T) -> Checked {
    if found >= min && found <= max {
        return Ok(());
    }
    let field = path.last().copied().unwrap_or_default();
    let help = if min == max { format!("set {min}") } else { format!("set a value from {min} to {max}") };
    Err(finding(path, format!("`{field}` is {found}, outside of {min} to {max}"), &help))
}

fn finding(path: &[&str], message: String, help: &str) -> Finding {
    Finding { path: path.iter().map(|part| (*part).to_owned()).collect(), message, help: help.to_owned() }
}
