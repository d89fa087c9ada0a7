use std::process::{Command, Stdio};

use super::*;

fn lists() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

#[test]
fn everything_that_was_recorded_is_gone_afterwards() {
    let lists = lists();
    let inventory = Inventory::begin(lists.path()).expect("a list");
    let folder = lists.path().join("mesh");
    inventory.make_folder(&folder).expect("a folder");
    fs::write(folder.join("file"), "x").expect("a file");
    let variable = format!("{RUN_VARIABLE}={}", inventory.run());
    let mut child = Command::new("sleep")
        .arg("600")
        .env(RUN_VARIABLE, inventory.run())
        .stdin(Stdio::null())
        .spawn()
        .expect("a process");
    inventory.remove_all().expect("all of it can be removed");
    assert!(!child.wait().expect("it ended").success(), "it was killed by {variable}");
    assert!(!folder.exists());
    assert_eq!(fs::read_dir(lists.path()).expect("a folder").count(), 0);
}

#[test]
fn a_run_that_goes_on_is_left_alone_and_one_that_is_over_is_cleaned() {
    let lists = lists();
    let inventory = Inventory::begin(lists.path()).expect("a list");
    let folder = lists.path().join("mesh");
    inventory.make_folder(&folder).expect("a folder");
    assert!(clean(lists.path()).expect("the lists are read").is_empty());
    let run = inventory.run().to_owned();
    drop(inventory);
    let leftovers = clean(lists.path()).expect("the lists are read");
    assert_eq!(leftovers.iter().map(|left| left.run.as_str()).collect::<Vec<_>>(), [run]);
    assert!(!folder.exists() && clean(lists.path()).expect("the lists are read").is_empty());
}

#[test]
fn a_folder_that_another_made_stays() {
    let lists = lists();
    let inventory = Inventory::begin(lists.path()).expect("a list");
    let folder = lists.path().join("mesh");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("precious"), "x").expect("a file");
    inventory.record(Thing::Folder { path: folder.clone() }).expect("it is recorded");
    drop(inventory);
    let leftovers = clean(lists.path()).expect("the lists are read");
    assert_eq!(leftovers[0].stuck.len(), 1, "{leftovers:?}");
    assert!(folder.join("precious").exists());
}

#[test]
fn a_line_that_a_crash_cut_off_is_no_obstacle_and_a_broken_one_is() {
    let lists = lists();
    let list = lists.path().join("00000000.inventory");
    let whole = r#"{"kind":"processes","environment":"ALTHING_CHAOS_RUN=none"}"#;
    fs::write(&list, format!("{whole}\n{{\"kind\":\"na")).expect("a list");
    assert_eq!(clean(lists.path()).expect("it is read")[0].removed.len(), 1);
    fs::write(&list, format!("nonsense\n{whole}\n")).expect("a list");
    assert!(clean(lists.path()).is_err());
}

#[test]
fn nothing_to_clean_is_no_error() {
    assert!(clean(&lists().path().join("none")).expect("no list").is_empty());
}
