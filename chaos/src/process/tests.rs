//! The harness is tested with a shell: what it waits for, and what it says when that does not come.

use std::{os::unix::process::ExitStatusExt, time::Instant};

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Process {
    Process::spawn("shell", Command::new("sh").args(["-c", script])).expect("a shell can be started")
}

#[test]
fn a_line_is_waited_for_and_earlier_lines_count() {
    let process = shell("echo first; echo second >&2; read never");
    assert_eq!(process.wait_for_line("second", SOON).expect("it is printed"), "second");
    assert_eq!(process.wait_for_line("fir", SOON).expect("it was printed"), "first");
}

#[test]
fn a_line_that_never_comes_is_reported_with_what_was_printed() {
    let process = shell("echo something else");
    let error = process.wait_for_line("ready", SOON).expect_err("it is never printed").to_string();
    assert!(error.contains("did not print `ready`") && error.contains("something else"), "{error}");
}

#[test]
fn waiting_for_a_line_ends_with_the_time() {
    let process = shell("exec tail -f /dev/null");
    let begun = Instant::now();
    assert!(process.wait_for_line("ready", Duration::from_millis(50)).is_err());
    assert!(begun.elapsed() < SOON);
}

#[test]
fn the_end_is_seen_with_its_status() {
    let mut process = shell("exit 3");
    assert_eq!(process.wait_for_end(SOON).expect("it ends").code(), Some(3));
    assert_eq!(process.wait_for_end(SOON).expect("it has ended").code(), Some(3));
    assert!(process.terminate().is_err(), "a process that is gone is not signalled");
}

#[test]
fn a_process_that_runs_on_is_told_from_one_that_ends() {
    let mut runs = shell("exec tail -f /dev/null");
    assert!(runs.stays_up_for(Duration::from_millis(20)).is_ok());
    let mut ends = shell("exit 0");
    assert!(matches!(ends.stays_up_for(SOON), Err(ProcessError::Ended { .. })));
}

#[test]
fn terminating_and_killing_differ() {
    let mut asked = shell("trap 'kill $!; exit 7' TERM; tail -f /dev/null & echo ready; wait");
    asked.wait_for_line("ready", SOON).expect("it is ready");
    asked.terminate().expect("it runs");
    assert_eq!(asked.wait_for_end(SOON).expect("it ends").code(), Some(7));

    let mut killed = shell("trap '' TERM; exec tail -f /dev/null");
    assert_eq!(killed.kill().expect("it is killed").signal(), Some(9));
}

#[test]
fn a_dropped_process_is_gone() {
    let process = shell("exec tail -f /dev/null");
    let pid = process.pid();
    drop(process);
    assert!(Usage::read(pid).is_err());
}
