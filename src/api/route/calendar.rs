//! Owns the routes that say what falls due: as a list, and as a calendar that programs of people subscribe to.

use actix_web::{HttpResponse, http::header};
use althing_contracts::{calendar::Due, canonical};
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::{
    api::{
        height::Pinned,
        query::Query,
        view::{
            calendar::DueView,
            page::{Page, PageQuery},
        },
    },
    ics,
};

/// Longest token: an instant, an occasion, and a voice with two names.
const TOKEN_LEN_MAX: usize = 1_024;

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CalendarQuery {
    /// Entries wanted, 1 to 500; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    pub page_size: Option<u16>,
    /// `next_page_token` of the page before.
    pub page_token: Option<String>,
    /// Only those up to this instant, in milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
}

/// What the file takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileQuery {}

/// Lists every instant at which the ledger acts by itself or by which somebody has to act, the next one first.
#[utoipa::path(get, path = "/v1/calendar", tag = "mesh", params(CalendarQuery),
    responses((status = 200, body = Page<DueView>)))]
pub(crate) async fn list(view: Pinned, query: Query<CalendarQuery>) -> Answer {
    let CalendarQuery { page_size, page_token, until_ms } = query.into_inner();
    let page = PageQuery { page_size, page_token };
    let (size, after) = (page.size()?, page.after::<Token>()?);
    let state = view.state.clone();
    // One more than fits says whether a page follows.
    let dues = state.calendar(after.as_ref().map(|Token(due)| due), size + 1);
    let wanted = dues.iter().filter(|due| until_ms.is_none_or(|until| due.at.get() <= until));
    let shown = wanted.map(|due| (Token(due.clone()), DueView::new(&state, due)));
    Ok(HttpResponse::Ok().json(Page::take(shown, size)))
}

/// The same as an iCalendar file (RFC 5545), for programs that subscribe to a calendar: the next 5,000 entries.
#[utoipa::path(get, path = "/v1/calendar.ics", tag = "mesh",
    responses((status = 200, body = String, content_type = "text/calendar")))]
pub(crate) async fn file(view: Pinned, _none: Query<FileQuery>) -> Answer {
    let state = &view.state;
    let dues = state.calendar(None, ics::ENTRIES_MAX);
    let dues: Vec<_> = dues.iter().map(|due| DueView::new(state, due)).collect();
    let body = ics::write(&dues, state.time());
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, ics::MEDIA_TYPE)).body(body))
}

/// The place of an entry in the list, as a token.
struct Token(Due);

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(canonical::encode(&self.0)))
    }
}

impl std::str::FromStr for Token {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() > 2 * TOKEN_LEN_MAX {
            return Err(());
        }
        let bytes = hex::decode(text).map_err(drop)?;
        canonical::decode(&bytes, TOKEN_LEN_MAX).map(Self).map_err(drop)
    }
}
