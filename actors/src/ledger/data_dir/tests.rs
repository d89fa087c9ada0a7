use std::{
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
};

use super::*;

const HOLDER: &str = "ledger::data_dir::tests::holds_a_directory_until_it_is_killed";
const HOLDER_PATH: &str = "ALTHING_TEST_DATA_DIR";

fn network() -> Digest {
    Digest::of_artefact(b"network")
}

/// The message for a directory, with its path as `DIR`.
fn refusal(path: &Path) -> String {
    let error = DataDir::open(path, network(), 1).unwrap_err();
    error.to_string().replace(&path.display().to_string(), "DIR")
}

#[test]
fn a_new_directory_is_private_and_opens_again_after_it_was_dropped() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep/data");
    drop(DataDir::open(&path, network(), 1).unwrap());
    let directory = DataDir::open(&path, network(), 1).unwrap();
    assert_eq!(directory.log(), path.join("log"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let meta = std::fs::read_to_string(path.join("meta")).unwrap();
    assert_eq!(meta, format!("format = 1\nnetwork = \"{}\"\n", network()));
}

#[test]
fn a_directory_that_is_held_names_the_process() {
    let path = tempfile::tempdir().unwrap();
    let _held = DataDir::open(path.path(), network(), 1).unwrap();
    let pid = std::process::id();
    assert_eq!(
        refusal(path.path()),
        format!(
            "the data directory DIR is in use by process {pid}; stop that process or choose another directory"
        )
    );
    std::fs::write(path.path().join("LOCK"), "").unwrap();
    assert_eq!(
        refusal(path.path()),
        "the data directory DIR is in use by another process; stop that process or choose another directory"
    );
}

#[test]
fn another_process_keeps_the_directory_until_it_is_killed() {
    let path = tempfile::tempdir().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", HOLDER, "--ignored", "--nocapture"])
        .env(HOLDER_PATH, path.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let held = lines.map_while(Result::ok).any(|line| line.contains("the directory is held"));
    assert!(held, "the holder ended before it had the directory");
    assert!(refusal(path.path()).contains(&format!("in use by process {};", holder.id())));
    holder.kill().unwrap();
    holder.wait().unwrap();
    DataDir::open(path.path(), network(), 1).unwrap();
}

#[test]
#[ignore = "the process that another_process_keeps_the_directory_until_it_is_killed starts"]
fn holds_a_directory_until_it_is_killed() {
    let path = std::env::var_os(HOLDER_PATH).expect("set by the test that starts this process");
    let _held = DataDir::open(Path::new(&path), network(), 1).unwrap();
    println!("the directory is held");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn another_network_a_newer_and_an_older_format_are_refused() {
    let path = tempfile::tempdir().unwrap();
    drop(DataDir::open(path.path(), Digest::ZERO, 1).unwrap());
    assert_eq!(
        refusal(path.path()),
        format!(
            "the data directory DIR belongs to network {}, this node is of network {}; choose another directory or \
             correct the genesis file",
            Digest::ZERO,
            network()
        )
    );
    let write = |text: &str| std::fs::write(path.path().join("meta"), text).unwrap();
    write("format = 2\nshape = \"new\"\n");
    assert_eq!(
        refusal(path.path()),
        "the data directory DIR has format 2, this version reads format 1; start the newer version"
    );
    write("format = 0\n");
    assert_eq!(
        refusal(path.path()),
        "the data directory DIR has format 0, this version reads format 1; set it aside, start with an empty one and \
         let the node catch up from its peers; a \
         validator waits first until the others have decided one more block, so that it never signs twice"
    );
}

#[test]
fn a_directory_with_data_and_no_or_a_damaged_meta_is_refused() {
    let path = tempfile::tempdir().unwrap();
    let rest = "set it aside, start with an empty one and let the node catch up from its peers; a \
         validator waits first until the others have decided one more block, so that it never signs twice";
    std::fs::write(path.path().join("key"), "").unwrap();
    drop(DataDir::open(path.path(), network(), 1).unwrap());
    std::fs::create_dir(path.path().join("log")).unwrap();
    std::fs::remove_file(path.path().join("meta")).unwrap();
    assert_eq!(
        refusal(path.path()),
        format!("the data directory DIR has no readable file meta: it is missing and there is `log`; {rest}")
    );
    std::fs::write(path.path().join("meta"), "format = 1\n").unwrap();
    assert_eq!(
        refusal(path.path()),
        format!("the data directory DIR has no readable file meta: missing field `network`; {rest}")
    );
}

#[test]
fn a_file_in_its_place_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(refusal(file.path()), "DIR is not a directory; choose another data directory");
}

#[test]
fn a_place_that_cannot_be_written_is_refused() {
    // The kernel refuses directories here to every user, root included.
    assert_eq!(
        refusal(Path::new("/sys/althing")),
        "the data directory DIR is not writable for this user; give it to the user or choose another"
    );
}

#[test]
fn a_full_disk_is_named_and_leaves_a_directory_that_opens_later() {
    let path = tempfile::tempdir().unwrap();
    let temporary = path.path().join("meta.tmp");
    symlink("/dev/full", &temporary).unwrap();
    assert_eq!(
        refusal(path.path()),
        "the disk of the data directory DIR is full; free some space and start again"
    );
    std::fs::remove_file(temporary).unwrap();
    DataDir::open(path.path(), network(), 1).unwrap();
}
