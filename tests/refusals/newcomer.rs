//! Commands of somebody who tries things out, on what is not there or not what it should be.

use std::fs;

use crate::program::{Refusal, command, ended};

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("noise"), [0xff; 300]).unwrap();
    fs::write(home.path().join("empty"), []).unwrap();
    for (words, exit, detail) in [
        ("proposal validate noise", 2, "cannot read noise: stream did not contain valid UTF-8"),
        ("proposal validate absent", 3, "cannot read absent: No such file or directory (os error 2)"),
        ("proposal validate .", 2, "cannot read .: Is a directory (os error 21)"),
        (
            "audit verify noise",
            1,
            "noise does not verify: header (offset 0): the file does not begin with ALTHINGB: it is no bundle, or its \
             first bytes were changed",
        ),
        (
            "audit verify empty",
            1,
            "empty does not verify: header (offset 0): the file ends here, 10 bytes short: it was cut off",
        ),
        ("event tail", 8, "no node is chosen"),
        (
            "init mesh --orgs acme,acme mesh",
            2,
            "the name acme is given to two nodes or targets; every one needs its own",
        ),
    ] {
        let words: Vec<&str> = words.split(' ').chain(["-o", "json"]).collect();
        let Refusal { exit: code, detail: said, .. } =
            ended(command(&words).current_dir(home.path()), home.path());
        assert_eq!((code, said.as_str()), (exit, detail), "{words:?}");
    }
}
