use std::os::unix::fs::PermissionsExt;

use althing_contracts::{constitution::Constitution, genesis::Tier, name::TargetId, quantity::TimeMs};

use super::*;
use crate::config::CommandSection;

fn plan(orgs: &[&str]) -> MeshPlan {
    let target = |org: &str, site: &str| TargetPlan {
        id: TargetId::new(&format!("{org}-{site}")).unwrap(),
        jurisdiction: Name::new("eu").unwrap(),
        tier: Tier::Medium,
        instances: 2,
        artefacts: "artefacts".into(),
        commands: BTreeMap::from([(
            Name::new("web").unwrap(),
            CommandSection { program: "{artefact}".into(), args: vec!["--listen".into(), "{listen}".into()] },
        )]),
        files: BTreeMap::new(),
    };
    let organisation = |org: &&str| OrganisationPlan {
        id: OrgId::new(org).unwrap(),
        targets: vec![target(org, "north"), target(org, "south")],
    };
    MeshPlan {
        name: Name::new("trial").unwrap(),
        time: TimeMs::new(1_700_000_000_000),
        constitution: Constitution::default_genesis().divided(1_000),
        organisations: orgs.iter().map(organisation).collect(),
        auditors: 1,
        port_base: 0,
        transport: Transport::default(),
    }
}

const ORGS: [&str; 4] = ["acme", "birch", "cedar", "delta"];

#[test]
fn a_mesh_is_written_whole_and_reads_back() {
    let directory = tempfile::tempdir().unwrap();
    let files = init_mesh(directory.path(), &plan(&ORGS)).unwrap();
    let genesis = genesis_file::read(&files.genesis).unwrap();
    assert_eq!(genesis.network(), files.network, "the text founds the same network");
    assert_eq!((genesis.organisations.len(), genesis.members.len(), genesis.targets.len()), (4, 21, 8));
    assert_eq!(genesis_file::nodes(&genesis).len(), 5);
    assert_eq!(files.nodes.len(), 5);
    for node in &files.nodes {
        let config = Config::load(&node.config, []).unwrap().config;
        let bootstraps = config.p2p.bootstrap.len();
        let validator = node.role == NodeRole::Validator;
        assert_eq!(bootstraps, if validator { 3 } else { 4 }, "{}", node.name);
        let key = keys::load(&config.identity.node_key_file, KeyPurpose::Node).unwrap();
        assert!(genesis_file::nodes(&genesis).contains(&key.public()));
        let members = keys::load_members(&config.keys.directory, &node.org).unwrap();
        assert_eq!(members.len(), if validator { 5 } else { 1 });
        for (member, role, key) in members {
            assert_eq!(genesis.members[&member].keys[&role], key.public());
        }
    }
}

#[test]
fn every_key_file_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let files = init_mesh(directory.path(), &plan(&ORGS)).unwrap();
    for node in &files.nodes {
        for entry in fs::read_dir(node.directory.join("keys")).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn a_directory_with_anything_in_it_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("note"), "mine").unwrap();
    let message = init_mesh(directory.path(), &plan(&ORGS)).unwrap_err().to_string();
    let path = directory.path().display();
    assert_eq!(
        message,
        format!("{path} is not empty; give a new directory, so that no key of another mesh is lost")
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn an_unsound_plan_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mesh");
    assert!(matches!(init_mesh(&path, &plan(&["acme", "acme"])), Err(InitError::Duplicate { .. })));
    assert!(matches!(init_mesh(&path, &plan(&[])), Err(InitError::Genesis(_))));
    assert!(!path.exists());
}

#[test]
fn ports_count_from_their_base_and_end_with_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let mut counted = plan(&ORGS);
    counted.port_base = 30_000;
    counted.transport = Transport::Tcp;
    let files = init_mesh(directory.path(), &counted).unwrap();
    let config = Config::load(&files.nodes[0].config, []).unwrap().config;
    assert_eq!(config.p2p.listen[0].to_string(), "/ip4/127.0.0.1/tcp/30000");
    assert_eq!(config.api.listen.unwrap().port(), 30_001);
    counted.port_base = u16::MAX - 2;
    let error = init_mesh(&directory.path().join("more"), &counted).unwrap_err();
    assert!(matches!(error, InitError::Io { what: "find a port for", .. }), "{error:?}");
}

#[test]
fn a_genesis_document_with_a_mistake_is_shown_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let files = init_mesh(directory.path(), &plan(&ORGS)).unwrap();
    let text = fs::read_to_string(&files.genesis).unwrap();
    fs::write(&files.genesis, text.replace("name = \"trial\"", "nam = \"trial\"")).unwrap();
    let message = genesis_file::read(&files.genesis).unwrap_err().to_string();
    assert!(message.contains("genesis.toml:2:1: unknown field `nam`"), "{message}");
    fs::write(&files.genesis, text.replace("schema = 3", "schema = 9")).unwrap();
    let message = genesis_file::read(&files.genesis).unwrap_err().to_string();
    assert!(message.contains("genesis schema 9 is not known, this build reads 3"), "{message}");
}

#[test]
fn a_written_node_joins_its_mesh_and_no_other() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = init_mesh(one.path(), &plan(&ORGS)).unwrap();
    let others = init_mesh(two.path(), &plan(&ORGS)).unwrap();
    let (genesis, other) =
        (genesis_file::read(&files.genesis).unwrap(), genesis_file::read(&others.genesis).unwrap());
    for node in &files.nodes {
        let config = Config::load(&node.config, []).unwrap().config;
        let mesh = config.mesh(&genesis).unwrap();
        assert_eq!((mesh.network, mesh.allow.len()), (files.network, 5));
        assert_eq!(config.consensus_key(&genesis).unwrap().is_some(), node.role == NodeRole::Validator);
        let message = config.mesh(&other).unwrap_err().to_string();
        let role = if node.role == NodeRole::Validator { "validator" } else { "observer" };
        let expected = format!("the genesis names no {role} node of {} with the key ed25519:", node.org);
        assert!(message.starts_with(&expected), "{message}");
    }
}
