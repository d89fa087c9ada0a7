//! Owns the arrows between the rooms: who may depend on whom, asked of `cargo tree`.

use std::{collections::BTreeSet, process::Command};

/// The rooms and the rooms each may know; every kind of dependency counts, those of tests too.
pub(crate) const ALLOWED: [(&str, &[&str]); 5] = [
    ("althing-contracts", &[]),
    ("althing-actors", &["althing-contracts"]),
    ("althing-netconfig", &["althing-contracts"]),
    ("althing-chaos", &["althing-contracts", "althing-actors", "althing-netconfig"]),
    ("althing", &["althing-contracts", "althing-actors", "althing-netconfig", "althing-chaos"]),
];

/// What the rules never stand on; a name that ends in `*` stands for all that begin like it.
const BARRED_FROM_CONTRACTS: [(&str, &[&str]); 6] = [
    (
        "a runtime",
        &["tokio*", "async-std", "smol", "futures-executor", "actix*", "mio", "rayon*", "crossbeam*"],
    ),
    ("the network", &["libp2p*", "hyper*", "reqwest", "quinn*", "h2", "rustls*", "socket2", "multiaddr"]),
    ("storage", &["sled", "redb", "rusqlite", "fs4", "tempfile", "memmap2"]),
    ("a clock", &["chrono", "time", "instant", "web-time"]),
    ("randomness of its own", &["getrandom", "rand", "rand_chacha", "fastrand"]),
    ("consensus", &["arc-malachitebft*"]),
];

/// The crates `package` depends on: directly or, with `deep`, through any number of others.
pub(crate) fn dependencies(package: &str, kinds: &str, deep: bool) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["tree", "--locked", "--offline", "--package", package, "--edges", kinds]);
    command.args(["--prefix", "none", "--format", "{p}"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !deep {
        command.args(["--depth", "1"]);
    }
    let output = command.output().expect("cargo can be run");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    names_in(&String::from_utf8(output.stdout).expect("crate names are UTF-8"), package)
}

/// Arrows of `package` that its room does not allow.
pub(crate) fn forbidden_arrows(package: &str, direct: &BTreeSet<String>) -> Vec<String> {
    let allowed = ALLOWED.iter().find(|(room, _)| *room == package).map_or(&[][..], |(_, rooms)| *rooms);
    let rooms = direct.iter().filter(|name| ALLOWED.iter().any(|(room, _)| room == name));
    let forbidden = rooms.filter(|name| !allowed.contains(&name.as_str()));
    forbidden.map(|name| format!("{package} must not depend on {name}")).collect()
}

/// Crates that `contracts` must not stand on, with what they would bring.
pub(crate) fn barred(closure: &BTreeSet<String>) -> Vec<String> {
    let is_named = |name: &str, pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    let brings = |name: &String| {
        let found = BARRED_FROM_CONTRACTS
            .iter()
            .find(|(_, names)| names.iter().any(|pattern| is_named(name, pattern)));
        found.map(|(what, _)| format!("contracts depends on {name}, which brings {what}"))
    };
    closure.iter().filter_map(brings).collect()
}

fn names_in(tree: &str, package: &str) -> BTreeSet<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != package && !name.starts_with('[')).map(str::to_owned).collect()
}

mod planted {
    use super::*;

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    #[test]
    fn an_arrow_between_actors_and_netconfig_is_found() {
        assert!(forbidden_arrows("althing-actors", &names(["althing-contracts", "tokio"])).is_empty());
        assert_eq!(forbidden_arrows("althing-actors", &names(["althing-netconfig"])).len(), 1);
        assert_eq!(forbidden_arrows("althing-netconfig", &names(["althing-actors"])).len(), 1);
        assert_eq!(forbidden_arrows("althing-contracts", &names(["althing-actors"])).len(), 1);
    }

    #[test]
    fn a_runtime_under_contracts_is_found() {
        assert_eq!(barred(&names(["tokio-util", "sled", "libp2p-core", "rand", "serde"])).len(), 4);
        assert!(barred(&names(["rand_core", "rand_xoshiro", "timeless"])).is_empty());
    }

    #[test]
    fn names_are_read_from_a_tree() {
        let tree = "althing v0.1.0 (x)\nserde v1.0.1\n[dev-dependencies]\ntokio v1.2.3 (*)\n";
        assert_eq!(names_in(tree, "althing"), names(["serde", "tokio"]));
    }
}
