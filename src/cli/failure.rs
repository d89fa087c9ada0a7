//! Owns how a command fails: an exit code, what happened, why, and what to do next.

use std::path::Path;

use miette::Diagnostic;

use althing_netconfig::config::ConfigError;

use crate::api::{listen::ListenError, problem::Problem};

/// Result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Exit codes of the command line; their numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It ended badly: rejected, failed, or a verification is false.
    EndedBadly = 1,
    /// The arguments or files are wrong.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// Not allowed.
    NotAllowed = 4,
    /// A stale hash, a move that the stage does not allow, or a key used twice.
    Conflict = 5,
    /// Out of time, or undecided.
    Timeout = 6,
    /// The node cannot be reached.
    Unreachable = 7,
    /// The configuration is wrong.
    Configuration = 8,
    /// Interrupted from the keyboard.
    Interrupted = 130,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// What is shown; nothing when there is nobody left to show it to.
    pub report: Option<miette::Report>,
    /// The node's answer, when it was one.
    pub problem: Option<Box<Problem>>,
}

/// A message with what to do next.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{text}")]
struct Message {
    text: String,
    #[help]
    help: Option<String>,
}

impl Failure {
    /// A failure with what happened and why.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self::of(exit, Message { text: text.into(), help: None })
    }

    /// A failure with what happened and what to do next.
    pub fn with_help(exit: Exit, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self::of(exit, Message { text: text.into(), help: Some(help.into()) })
    }

    /// A failure that points into a file.
    pub fn of(exit: Exit, diagnostic: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self { exit, report: Some(miette::Report::new(diagnostic)), problem: None }
    }

    /// The reader of stdout has gone: there is nothing to say.
    pub fn closed_pipe() -> Self {
        Self { exit: Exit::Done, report: None, problem: None }
    }

    /// Interrupted from the keyboard.
    pub fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted")
    }

    /// The node's refusal of a request that asked for what `heights` holds.
    pub fn refused(problem: Problem, heights: Option<&Path>) -> Self {
        let help = match (problem.code.as_str(), heights) {
            ("behind", Some(file)) => Some(behind(file)),
            (code, _) => next_step(code).map(str::to_owned),
        };
        let failure = match help {
            Some(help) => Self::with_help(exit_of(&problem), &problem.detail, help),
            None => Self::new(exit_of(&problem), &problem.detail),
        };
        Self { problem: Some(Box::new(problem)), ..failure }
    }

    /// What to do next.
    fn help(&self) -> Option<String> {
        self.report.as_ref()?.help().map(|help| help.to_string())
    }

    /// One object that says the same, for programs.
    pub fn to_json(&self) -> serde_json::Value {
        let detail = self.report.as_ref().map(ToString::to_string);
        match &self.problem {
            Some(problem) => {
                serde_json::json!({"exit": self.exit as u8, "problem": problem, "help": self.help()})
            }
            None => serde_json::json!({"exit": self.exit as u8, "detail": detail, "help": self.help()}),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let place = match (error.line, error.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", error.file),
            _ => error.file.clone(),
        };
        let snippet = if error.snippet.is_empty() { String::new() } else { format!("\n{}", error.snippet) };
        let text = format!("{place}: {}{snippet}", error.message);
        Self::of(Exit::Configuration, Message { text, help: error.help })
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        Self::new(Exit::Configuration, format!("{error}{cause}"))
    }
}

fn exit_of(problem: &Problem) -> Exit {
    match (problem.code.as_str(), problem.status) {
        ("idempotency-key-reused", _) | (_, 409) => Exit::Conflict,
        ("id" | "ambiguous-id", _) | (_, 400 | 405 | 413 | 415) => Exit::Usage,
        (_, 404 | 410) => Exit::NotFound,
        (_, 401 | 403 | 421) => Exit::NotAllowed,
        ("behind", _) | (_, 408 | 504) => Exit::Timeout,
        (_, 502 | 503) => Exit::Unreachable,
        _ => Exit::EndedBadly,
    }
}

/// Somebody who founds a mesh again with the genesis of an old one has seen blocks that will not come for long.
fn behind(heights: &Path) -> String {
    format!(
        "see how far it is with `althing node status`, or choose another node with --context or --addr; if the mesh \
         began anew with the same genesis, remove {}",
        heights.display()
    )
}

fn next_step(code: &str) -> Option<&'static str> {
    Some(match code {
        "plan-moved" | "target-moved" => {
            "look at the plan again with `althing proposal plan FILE` or `althing proposal show ID`, then use its hash"
        }
        "revision" => "look at the new revision with `althing proposal show ID`",
        "not-a-member" | "not-in-role" | "not-eligible" => "see who may with `althing vote explain ID`",
        "no-key" => "choose another member with --as, or another node with --context or --addr",
        "illegal-move" => "see why with `althing vote explain ID`",
        "unknown-proposal" => "list what there is with `althing proposal list`",
        "undecided" => "look before asking again: `althing proposal list`",
        _ => return None,
    })
}
