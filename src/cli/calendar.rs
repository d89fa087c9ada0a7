//! Owns the command that says what falls due.

use std::path::PathBuf;

use clap::Args;

use super::{failure::Outcome, proposal::write_new, session::Session};
use crate::{
    api::view::{calendar::DueView, page::Page},
    ics,
};

/// What is wanted of the calendar.
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  althing calendar\n  althing calendar --ics mesh.ics\n  \
                         althing calendar --ics - | grep SUMMARY\n")]
pub struct CalendarArguments {
    /// Writes it as an iCalendar file, which must not exist, or to stdout for `-`
    #[arg(long, value_name = "FILE")]
    ics: Option<PathBuf>,
}

/// Shows what falls due, the next first.
pub(super) async fn run(arguments: CalendarArguments, session: &Session) -> Outcome {
    // What a file takes is enough for people.
    let calendar: Page<DueView> = session.client()?.list("/v1/calendar", ics::ENTRIES_MAX).await?;
    let Some(file) = arguments.ics else {
        session.print(&calendar)?;
        session.suggest("althing calendar --ics mesh.ics");
        return Ok(());
    };
    // What the node said is written here and not there: no node decides what a line of the file is.
    let text = ics::write(&calendar.items, session.now());
    if file.as_os_str() == "-" {
        return session.write(&text);
    }
    write_new(&file, &text)?;
    session.say(&format!("wrote {} with {} entries", file.display(), calendar.items.len()));
    Ok(())
}
