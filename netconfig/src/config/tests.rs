use super::*;

const GOOD: &str = r#"schema = 1

[node]
name = "acme-1"
org = "acme"
role = "validator"
data_dir = "data"
genesis = "../genesis.toml"

[identity]
node_key_file = "keys/node.key"
consensus_key_file = "keys/consensus.key"

[p2p]
listen = ["/ip4/127.0.0.1/tcp/7001"]
max_peers = 16

[keys]
backend = "file"
directory = "keys"

[executor]
enabled = true

[executor.targets.acme-north]
root = "sites/north"
artefacts = "artefacts"
stop_within_ms = 3000

[executor.targets.acme-north.commands.web]
program = "{artefact}"
args = ["--listen", "{listen}"]
"#;

fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.toml");
    fs::write(&path, text).unwrap();
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = Config::load(&path, environment);
    loaded.map_err(|error| error.to_string().replace(directory.path().to_str().unwrap(), "DIR"))
}

fn refusal(from: &str, to: &str) -> String {
    let text = GOOD.replace(from, to);
    assert_ne!(text, GOOD, "the test must change something");
    load_with(&text, &[]).unwrap_err()
}

#[test]
fn a_sound_file_is_read_with_defaults_and_paths_beside_it() {
    let Loaded { config, .. } = load_with(GOOD, &[]).unwrap();
    assert_eq!(config.node.role, NodeRole::Validator);
    assert_eq!(config.executor.max_parallel, 4);
    assert!(config.node.data_dir.is_absolute() && config.node.data_dir.ends_with("data"));
    let target = config.executor.targets.values().next().unwrap();
    assert_eq!((target.stop_within_ms, target.instances_max), (3_000, 16));
    assert!(target.root.is_absolute());
}

#[test]
fn an_unknown_field_of_a_target_or_its_command_is_refused() {
    let target = refusal("stop_within_ms = 3000", "shell = true");
    assert!(target.contains("unknown field `shell`"), "{target}");
    let command = refusal("program = \"{artefact}\"", "program = \"{artefact}\"\nshell = true");
    assert!(command.contains("unknown field `shell`"), "{command}");
}

#[test]
fn an_unknown_field_is_shown_with_line_column_and_caret() {
    assert_eq!(
        refusal("max_peers = 16", "max_pears = 16"),
        "DIR/node.toml:16:1: unknown field `max_pears`, expected one of `listen`, `bootstrap`, `max_peers`\n\
         16 | max_pears = 16\n   | ^^^^^^^^^"
    );
}

#[test]
fn a_wrong_type_is_shown_at_the_value() {
    assert_eq!(
        refusal("enabled = true", "enabled = \"yes\""),
        "DIR/node.toml:23:11: invalid type: string \"yes\", expected a boolean\n\
         23 | enabled = \"yes\"\n   |           ^^^^^"
    );
}

#[test]
fn a_wrong_unit_is_explained() {
    assert_eq!(
        refusal("stop_within_ms = 3000", "stop_within_ms = \"3s\""),
        "DIR/node.toml:28:18: invalid type: string \"3s\", expected u64\n\
         28 | stop_within_ms = \"3s\"\n   |                  ^^^^\n\
         help: `stop_within_ms` is a number of milliseconds, written without quotes and without a unit"
    );
}

#[test]
fn a_missing_field_is_named_at_its_section() {
    assert_eq!(
        refusal("org = \"acme\"\n", ""),
        "DIR/node.toml:3:1: missing field `org`\n3 | [node]\n  | ^^^^^^"
    );
}

#[test]
fn a_value_out_of_bounds_says_the_bounds() {
    assert_eq!(
        refusal("max_peers = 16", "max_peers = 0"),
        "DIR/node.toml:16:13: `max_peers` is 0, outside of 1 to 4096\n\
         16 | max_peers = 0\n   |             ^\nhelp: set a value from 1 to 4096"
    );
    assert_eq!(
        refusal("schema = 1", "schema = 2"),
        "DIR/node.toml:1:10: `schema` is 2, outside of 1 to 1\n1 | schema = 2\n  |          ^\nhelp: set 1"
    );
}

#[test]
fn a_word_that_is_none_of_the_known_ones_is_refused() {
    assert_eq!(
        refusal("\"validator\"", "\"king\""),
        "DIR/node.toml:6:8: unknown variant `king`, expected `validator` or `auditor`\n\
         6 | role = \"king\"\n  |        ^^^^^^"
    );
    assert_eq!(
        refusal("backend = \"file\"", "backend = 3"),
        "DIR/node.toml:19:11: KeysBackend is one of the words file\n19 | backend = 3\n   |           ^"
    );
}

#[test]
fn an_address_that_cannot_be_read_is_shown_in_its_list() {
    let message = refusal("/ip4/127.0.0.1/tcp/7001", "127.0.0.1:7001");
    assert!(message.starts_with("DIR/node.toml:15:11: "), "{message}");
    assert!(
        message.ends_with("15 | listen = [\"127.0.0.1:7001\"]\n   |           ^^^^^^^^^^^^^^^^"),
        "{message}"
    );
}

#[test]
fn text_that_is_no_toml_is_shown_where_it_breaks() {
    let message = refusal("role = \"validator\"", "role = validator");
    assert!(message.starts_with("DIR/node.toml:6:8: "), "{message}");
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error = Config::load(Path::new("/nowhere/node.toml"), []).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nowhere/node.toml: the configuration file does not exist\n\
         help: give the path of the node's configuration with `-c FILE`; `althing init` writes one"
    );
}

#[test]
fn a_port_that_other_machines_reach_is_refused() {
    assert_eq!(
        refusal("[keys]", "[api]\nlisten = \"0.0.0.0:80\"\n[keys]"),
        "DIR/node.toml:19:10: 0.0.0.0:80 can be reached from other machines, and this port has no authentication\n\
         19 | listen = \"0.0.0.0:80\"\n   |          ^^^^^^^^^^^^\nhelp: listen on 127.0.0.1 or [::1]"
    );
}

#[test]
fn roles_and_keys_must_fit() {
    assert_eq!(
        refusal("consensus_key_file = \"keys/consensus.key\"\n", ""),
        "DIR/node.toml:10:1: a validator needs a key for consensus\n10 | [identity]\n   | ^^^^^^^^^^\n\
         help: add `consensus_key_file = \"keys/consensus.key\"`"
    );
}

#[test]
fn a_program_of_the_search_path_is_refused() {
    assert_eq!(
        refusal("\"{artefact}\"", "\"web\""),
        "DIR/node.toml:31:11: `web` is looked up in a search path that others may change\n\
         31 | program = \"web\"\n   |           ^^^^^\n\
         help: give an absolute path, or `{artefact}` to run the artefact itself"
    );
}

#[test]
fn variables_override_files_and_name_themselves_in_errors() {
    let loaded = load_with(GOOD, &[("ALTHING__P2P__MAX_PEERS", "9"), ("HOME", "/root")]).unwrap();
    assert_eq!(loaded.config.p2p.max_peers, 9);
    let loaded = load_with(GOOD, &[("ALTHING__NODE__NAME", "other")]).unwrap();
    assert_eq!(loaded.config.node.name.as_str(), "other", "plain words need no quotes");
    assert_eq!(
        load_with(GOOD, &[("ALTHING__P2P__MAX_PEERS", "many")]).unwrap_err(),
        "$ALTHING__P2P__MAX_PEERS:1:1: invalid type: string \"many\", expected u32\n1 | many\n  | ^^^^"
    );
    let unknown = load_with(GOOD, &[("ALTHING__P2P__MAX_PEARS", "1")]).unwrap_err();
    assert!(unknown.starts_with("$ALTHING__P2P__MAX_PEARS:1:1: unknown field `max_pears`"), "{unknown}");
}

#[test]
fn later_files_override_earlier_ones_and_origins_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.toml");
    fs::write(&path, GOOD).unwrap();
    let more = directory.path().join("conf.d");
    fs::create_dir(&more).unwrap();
    fs::write(more.join("10-a.toml"), "[p2p]\nmax_peers = 20\n").unwrap();
    fs::write(more.join("20-b.toml"), "[p2p]\nmax_peers = 30\n").unwrap();
    fs::write(more.join("30-c.toml.off"), "[p2p]\nmax_peers = 40\n").unwrap();
    let loaded = Config::load(&path, []).unwrap();
    assert_eq!(loaded.config.p2p.max_peers, 30);
    let origin = |path: &str| {
        let found = loaded.origins.iter().find(|origin| origin.path == path).unwrap();
        (found.value.clone(), found.origin.replace(directory.path().to_str().unwrap(), "DIR"))
    };
    assert_eq!(origin("p2p.max_peers"), ("30".into(), "DIR/conf.d/20-b.toml:2".into()));
    assert_eq!(origin("node.org"), ("\"acme\"".into(), "DIR/node.toml:5".into()));
    assert_eq!(origin("executor.max_parallel"), ("4".into(), "default".into()));
}

#[test]
fn an_oversized_file_is_not_read() {
    let text = format!("{GOOD}\n# {}", "x".repeat(1024 * 1024));
    let message = load_with(&text, &[]).unwrap_err();
    assert!(message.ends_with("bytes are more than the 1048576 allowed"), "{message}");
}
