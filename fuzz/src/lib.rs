//! Owns the targets that need the daemon's own crate: bodies of requests, and the proposal files of people.

use std::{fs, path::PathBuf, sync::LazyLock};

use althing::{
    api::{
        body::{BODY_LEN_MAX, parse},
        view::act::{ReasonRequest, ResumeRequest, ReviewRequest, ReviseRequest, SubmitRequest, VoteRequest},
    },
    cli::document,
};
use serde::{Serialize, de::DeserializeOwned};

/// The body of a request: it is read as each kind that the API takes, and what is read reads back the same.
pub fn api_body(bytes: &[u8]) {
    if bytes.len() > BODY_LEN_MAX {
        return;
    }
    reads_back::<SubmitRequest>(bytes);
    reads_back::<ReviseRequest>(bytes);
    reads_back::<ReviewRequest>(bytes);
    reads_back::<VoteRequest>(bytes);
    reads_back::<ReasonRequest>(bytes);
    reads_back::<ResumeRequest>(bytes);
}

fn reads_back<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    match parse::<T>(bytes) {
        Ok(value) => {
            let again = serde_json::to_vec(&value).expect("a request has a JSON form");
            assert_eq!(parse::<T>(&again).expect("its own JSON form"), value);
        }
        Err(problem) => assert!(!problem.detail.is_empty() && problem.status < 500, "{problem:?}"),
    }
}

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("althing-fuzz-{}.toml", std::process::id())));

/// A proposal file: it is a sound document, or the place of the first thing that is wrong is shown.
///
/// # Panics
/// The disk does not take it.
pub fn proposal_file(bytes: &[u8]) {
    fs::write(&*FILE, bytes).expect("the directory takes it");
    match document::read(&FILE) {
        Ok(document) => {
            document.check().expect("what is read is checked");
            let text = toml::to_string(&document).expect("a document has a text form");
            fs::write(&*FILE, text).expect("the directory takes it");
            assert_eq!(document::read(&FILE).expect("its own text form"), document);
        }
        Err(failure) => {
            let report = failure.report.expect("a reason is shown");
            assert!(!format!("{report:?}").is_empty());
        }
    }
}
