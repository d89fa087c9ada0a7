//! Data directories that are not this node's, are damaged, or have no room.

use std::{fs, io::Write, process::Command, time::Duration};

use crate::program::{PROGRAM, Written, command};

const SEGMENT: &str = "acme/data/log/00000000000000000000.seg";
/// First byte of the first record's payload: the header of the segment, then that of the record.
const PAYLOAD_AT: usize = 74 + 53;

/// A mesh whose first node has run and was killed.
fn used() -> Written {
    let mesh = Written::new();
    mesh.start("acme").kill().unwrap();
    mesh
}

#[test]
fn a_directory_of_another_network_is_refused() {
    let mesh = used();
    mesh.edit("genesis.toml", "name = \"mesh\"", "name = \"other\"");
    let refusal = mesh.refusal("acme");
    assert_eq!(refusal.exit, 8);
    let start = "the ledger does not start: the data directory DIR/acme/data belongs to network ";
    assert!(refusal.detail.starts_with(start), "{refusal:?}");
    assert!(
        refusal.detail.ends_with("; choose another directory or correct the genesis file"),
        "{refusal:?}"
    );
}

#[test]
fn a_directory_of_a_newer_version_is_refused() {
    let mesh = used();
    mesh.edit("acme/data/meta", "format = 1", "format = 2");
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail.as_str()),
        (
            8,
            "the ledger does not start: the data directory DIR/acme/data has format 2, this version reads format 1; \
             start the newer version"
        )
    );
}

#[test]
fn a_flipped_bit_is_located_and_nothing_is_read_past_it() {
    let mesh = used();
    let mut bytes = fs::read(mesh.path(SEGMENT)).unwrap();
    bytes[PAYLOAD_AT] ^= 1;
    fs::write(mesh.path(SEGMENT), bytes).unwrap();
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail.as_str()),
        (
            1,
            "the ledger does not start: the log's file 00000000000000000000.seg is damaged at offset 74, record 0: \
             the record's payload is damaged; stop this node, set its data directory aside, start with an empty one \
             and let it catch up from its peers"
        )
    );
}

#[test]
fn a_torn_tail_is_cut_and_told_and_the_node_starts() {
    let mesh = used();
    let mut log = fs::OpenOptions::new().append(true).open(mesh.path(SEGMENT)).unwrap();
    log.write_all(&[7; 20]).unwrap();
    let node = mesh.start("acme");
    let told = "an unfinished write at the end of the log was cut off";
    node.wait_for_line(told, Duration::from_secs(1)).unwrap();
}

#[test]
fn a_directory_that_a_process_holds_is_refused_with_its_id() {
    let mesh = Written::new();
    let holder = mesh.start("acme");
    let anywhere =
        |start: &str, to: &str| mesh.edit("acme/node.toml", &mesh.line("acme/node.toml", start), to);
    anywhere("listen = [", "listen = [\"/ip4/127.0.0.1/udp/0/quic-v1\"]");
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail),
        (
            8,
            format!(
                "the ledger does not start: the data directory DIR/acme/data is in use by process {}; stop that \
                 process or choose another directory",
                holder.pid()
            )
        )
    );
}

/// On a real file system without room, in a mount namespace of the test's own.
#[test]
fn a_full_disk_is_named_with_the_remedy() {
    let namespace = ["--user", "--map-root-user", "--mount"];
    if !Command::new("unshare").args(namespace).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("not tried: this machine gives no mount namespaces; the simulated disk covers the same");
        return;
    }
    let mesh = Written::new();
    fs::create_dir(mesh.path("acme/data")).unwrap();
    let mut small = Command::new("unshare");
    let script = "mount -t tmpfs -o size=8k tmpfs \"$1\" && exec \"$2\" node run -o json -c \"$3\"";
    small.args(namespace).args(["sh", "-c", script, "sh"]).arg(mesh.path("acme/data")).arg(PROGRAM);
    small.arg(mesh.path("acme/node.toml"));
    let refusal = mesh.ended(small);
    assert_eq!(refusal.exit, 1);
    let start = "the ledger does not start: cannot ";
    assert!(refusal.detail.starts_with(start), "{refusal:?}");
    assert!(refusal.detail.ends_with(": No space left on device (os error 28)"), "{refusal:?}");
    assert_eq!(
        refusal.help.as_deref(),
        Some("free some space on the disk of `node.data_dir` and start again; what was acknowledged is kept")
    );
}

#[test]
fn a_mesh_is_not_written_over_another() {
    let mesh = Written::new();
    let mut init = command(&["init", "mesh", "-o", "json", "--orgs", "acme,birch"]);
    init.arg(mesh.path(""));
    let refusal = mesh.ended(init);
    assert_eq!(
        (refusal.exit, refusal.detail.as_str()),
        (5, "DIR/ is not empty; give a new directory, so that no key of another mesh is lost")
    );
}
