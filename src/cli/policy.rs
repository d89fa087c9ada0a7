//! Owns the commands about the rules: what is in force, what a file would change, and a draft of a change.

use std::path::{Path, PathBuf};

use althing_contracts::{
    act::Act,
    constitution::Constitution,
    document::ProposalDocument,
    name::{Line, Prose},
};
use clap::Subcommand;
use serde::Serialize;

pub(super) mod overlay;
mod suite;

use super::{
    document,
    failure::{Exit, Failure, Outcome},
    session::Session,
};
use crate::api::view::{
    backtest::{BacktestRequest, BacktestView},
    constitution::{ChangeView, ConstitutionView, changes},
};

/// What can be done with the rules.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Shows the constitution in force, in the form in which a change of it is written
    Show,
    /// Writes a proposal that holds the constitution in force as its next version, to be edited
    #[command(before_help = "Examples:\n  \
                             althing policy draft rules.toml\n  \
                             althing policy diff rules.toml\n  \
                             althing proposal plan rules.toml\n")]
    Draft {
        /// File to write; it must not exist
        file: PathBuf,
        /// A text that says only what should differ, as those in examples/constitutions
        #[arg(long, value_name = "FILE")]
        set: Option<PathBuf>,
    },
    /// Tests rules without a node: given who takes part, when people act so, then it ends so; 1 unless every test holds
    #[command(before_help = "Examples:\n  althing policy test examples/constitutions/consortium.test.toml\n")]
    Test {
        /// Test files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Shows what a proposal would change about the constitution in force, parameter by parameter
    #[command(before_help = "Examples:\n  \
                             althing policy diff rules.toml\n  \
                             althing policy diff rules.toml --replay 200\n")]
    Diff {
        /// The proposal
        file: PathBuf,
        /// Judges the newest decided proposals, so many of them, by both texts and shows where they differ. When people acted
        /// is not asked, so that longer or shorter periods make no difference
        #[arg(long, value_name = "PROPOSALS", num_args = 0..=1, default_missing_value = "100")]
        replay: Option<usize>,
    },
}

/// What a text changes, and what that would have changed about the past.
#[derive(Debug, Serialize)]
pub(super) struct Hindsight {
    /// Parameter by parameter.
    pub(super) changes: Vec<ChangeView>,
    /// Proposal by proposal.
    pub(super) replay: BacktestView,
}

/// Carries a command out.
pub(super) async fn run(command: PolicyCommand, session: &Session) -> Outcome {
    if let PolicyCommand::Test { files } = &command {
        return test(files, session);
    }
    let shown: ConstitutionView = session.client()?.get("/v1/constitution").await?;
    match command {
        PolicyCommand::Show => {
            session.print(&shown)?;
            session.suggest("althing policy draft rules.toml");
            Ok(())
        }
        PolicyCommand::Draft { file, set } => {
            let rules = match set {
                Some(set) => {
                    overlay::lay(&shown.constitution, &overlay::read(&set)?, &set.display().to_string())?
                }
                None => shown.constitution,
            };
            draft(&file, rules, session)
        }
        PolicyCommand::Test { files } => test(&files, session),
        PolicyCommand::Diff { file, replay } => diff(&file, &shown.constitution, replay, session).await,
    }
}

fn test(files: &[PathBuf], session: &Session) -> Outcome {
    let mut broken = 0;
    for file in files {
        let results = suite::run(file)?;
        session.print(&results)?;
        broken += results.broken();
    }
    if broken == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::EndedBadly, format!("{broken} tests do not hold")))
}

fn draft(file: &Path, in_force: Constitution, session: &Session) -> Outcome {
    let version = in_force.version.saturating_add(1);
    let constitution = Box::new(Constitution { version, ..in_force });
    let title = Line::shortened(&format!("version {version} of the constitution"));
    let reason = Prose::new("why the rules should change")
        .map_err(|error| Failure::new(Exit::EndedBadly, error.to_string()))?;
    let document = ProposalDocument::of_acts(title, reason, vec![Act::Amend { constitution }]);
    super::proposal::write_new(file, &super::proposal::text_of(&document)?)?;
    session.say(&format!("wrote {}", file.display()));
    session.suggest(&format!("edit it, then althing policy diff {}", file.display()));
    Ok(())
}

async fn diff(file: &Path, in_force: &Constitution, replay: Option<usize>, session: &Session) -> Outcome {
    let document = document::read(file)?;
    let Some(constitution) = document.acts.iter().find_map(Act::amendment) else {
        let detail = format!("{} does not change the constitution", file.display());
        return Err(Failure::with_help(Exit::Usage, detail, "althing policy draft writes one that does"));
    };
    let changes: Vec<ChangeView> = changes(in_force, constitution);
    match replay {
        None => session.print(&changes)?,
        Some(last) => {
            let request = BacktestRequest { constitution: constitution.clone(), last };
            let replay: BacktestView = session.client()?.post("/v1/constitution/backtest", &request).await?;
            session.print(&Hindsight { changes, replay })?;
        }
    }
    session.suggest(&format!("althing proposal plan {}", file.display()));
    Ok(())
}
