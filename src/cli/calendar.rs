//! Owns the command that says what falls due.

use std::path::PathBuf;

use clap::Args;

use super::{client::Client, failure::Outcome, proposal::write_new, session::Session};
use crate::{
    api::view::{calendar::DueView, page::Page},
    ics,
};

/// Entries asked for at once.
const PAGE_SIZE: &str = "500";

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
    let calendar = all(&session.client()?).await?;
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

/// The pages as one, up to what a file takes.
async fn all(client: &Client) -> Outcome<Page<DueView>> {
    let mut all = Page { items: Vec::new(), next_page_token: None };
    loop {
        let mut query = vec![("page_size", PAGE_SIZE.to_owned())];
        query.extend(all.next_page_token.take().map(|token| ("page_token", token)));
        let page: Page<DueView> = client.get_with("/v1/calendar", &query).await?;
        all.items.extend(page.items);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_none() || all.items.len() >= ics::ENTRIES_MAX {
            return Ok(all);
        }
    }
}
