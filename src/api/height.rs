//! Owns at which block answers hold: every answer names the height that it shows, and a request may name one that the
//! node must have first, so that what was done at one node is there at the next. Refuses to wait beyond a bound.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_web::{
    Error, HttpMessage as _, ResponseError as _,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use althing_actors::ledger::message::LedgerView;
use althing_contracts::{digest::Digest, quantity::Height};

use super::{
    problem::Problem,
    route::{Shared, events::too_many_streams},
};

/// Answers: the height of the block that the answer shows, a whole number.
pub const HEIGHT: HeaderName = HeaderName::from_static("althing-height");
/// Answers: the network's identity, the digest of its genesis.
pub const NETWORK: HeaderName = HeaderName::from_static("althing-network");
/// Requests: the height that the node must have, such as `120`. A list names networks, such as
/// `120;network="1bd8…", 7;network="90ac…"` (a list of RFC 9651); entries of other networks do not count.
pub const MIN_HEIGHT: HeaderName = HeaderName::from_static("althing-min-height");
/// Longest time that a node waits for a block before it refuses; many times what a block takes to arrive.
pub const WAIT_MAX: Duration = Duration::from_secs(5);
/// Most heights in one request: a client names the networks that it talked to last.
pub const MIN_HEIGHTS_MAX: usize = 8;
/// Largest whole number of a structured header (RFC 9651 §3.3.1).
const INTEGER_MAX: u64 = 999_999_999_999_999;

/// The ledger as one request sees it from its beginning to its end.
pub(crate) type Pinned = web::ReqData<Arc<LedgerView>>;

/// Waits for the block that a request names, lets the request see the ledger from there on, and tells with the answer
/// which height it shows.
///
/// # Errors
/// As the route that follows.
pub(crate) async fn keep(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let shared = request.app_data::<web::Data<Shared>>().expect("the app was given its data").clone();
    let network = shared.backend.view().network;
    let seen = match min_height(request.headers(), network) {
        Ok(wanted) => reach(&shared, wanted).await,
        Err(problem) => Err(problem),
    };
    let view = match seen {
        Ok(view) => view,
        Err(problem) => {
            let mut response = request.into_response(problem.error_response());
            mark(response.headers_mut(), &shared.backend.view());
            return Ok(response.map_into_right_body());
        }
    };
    request.extensions_mut().insert(view.clone());
    let mut response = next.call(request).await?;
    mark(response.headers_mut(), &view);
    Ok(response.map_into_left_body())
}

/// The header that says which height an answer shows.
pub(crate) fn header(height: Height) -> (HeaderName, HeaderValue) {
    (HEIGHT, HeaderValue::from(height.get()))
}

/// Names the height unless the route did: one that waited or wrote shows a later block.
fn mark(headers: &mut HeaderMap, view: &LedgerView) {
    if !headers.contains_key(HEIGHT) {
        let (name, value) = header(view.state.height());
        headers.insert(name, value);
    }
    let network = HeaderValue::from_str(&view.network.to_string());
    headers.insert(NETWORK, network.expect("a digest is hexadecimal digits"));
}

/// The node's view once it has the height.
async fn reach(shared: &Shared, wanted: Height) -> Result<Arc<LedgerView>, Problem> {
    let mut follower = shared.backend.feed().view;
    let newest = follower.borrow().clone();
    if newest.answers(wanted) {
        return Ok(newest);
    }
    let _permit = shared.streams.try_acquire().map_err(|_| too_many_streams())?;
    let mut closing = shared.closing.clone();
    tokio::select! {
        Ok(view) = follower.wait_for(|view| view.answers(wanted)) => return Ok(view.clone()),
        _ = closing.wait_for(|closing| *closing) => {}
        () = tokio::time::sleep(WAIT_MAX) => {}
    }
    Err(behind(&shared.backend.view(), wanted))
}

fn behind(view: &LedgerView, wanted: Height) -> Problem {
    let (height, network) = (view.state.height(), view.network.short());
    let detail = format!(
        "this node is at height {height} of network {network} and did not reach height {wanted}, which the request asks \
         for, within {} s; ask again in a moment, or ask a node that has it",
        WAIT_MAX.as_secs()
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "behind", "The node does not have the block yet", detail)
        .retryable()
}

/// The height that a request asks for of a network; zero when it asks for none.
fn min_height(headers: &HeaderMap, network: Digest) -> Result<Height, Problem> {
    let mut by_network = BTreeMap::new();
    for value in headers.get_all(MIN_HEIGHT) {
        for member in value.to_str().map_err(|_| malformed())?.split(',') {
            let (height, of) = parse(member.trim()).ok_or_else(malformed)?;
            let known = by_network.entry(of.unwrap_or(network)).or_insert(height);
            *known = height.max(*known);
        }
        if by_network.len() > MIN_HEIGHTS_MAX {
            return Err(malformed());
        }
    }
    Ok(by_network.get(&network).copied().unwrap_or(Height::ZERO))
}

/// A height, and the network that it is of when it names one.
fn parse(member: &str) -> Option<(Height, Option<Digest>)> {
    let (number, parameter) = match member.split_once(';') {
        Some((number, parameter)) => (number, Some(parameter.trim_start())),
        None => (member, None),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let height = number.parse().ok().filter(|height| digits && *height <= INTEGER_MAX)?;
    let network = match parameter {
        Some(text) => Some(text.strip_prefix("network=\"")?.strip_suffix('"')?.parse().ok()?),
        None => None,
    };
    Some((Height::new(height), network))
}

fn malformed() -> Problem {
    let detail = format!(
        "Althing-Min-Height must be a height such as 120, or up to {MIN_HEIGHTS_MAX} with their networks, such as \
         120;network=\"64 hexadecimal digits\", separated by commas; send back what Althing-Height and \
         Althing-Network of an answer said"
    );
    Problem::bad_request("min-height", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(values: &[&str]) -> Result<u64, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(MIN_HEIGHT, HeaderValue::from_str(value).unwrap());
        }
        min_height(&headers, Digest::ZERO).map(Height::get).map_err(|problem| problem.code)
    }

    #[test]
    fn a_height_counts_for_its_network_alone() {
        let (own, other) = ("0".repeat(64), "1".repeat(64));
        assert_eq!(asked(&[]), Ok(0));
        assert_eq!(asked(&["7"]), Ok(7));
        assert_eq!(asked(&[&format!("9;network=\"{other}\"")]), Ok(0));
        assert_eq!(asked(&[&format!("9;network=\"{other}\", 7; network=\"{own}\"")]), Ok(7));
        assert_eq!(asked(&["7", &format!("8;network=\"{own}\""), "6"]), Ok(8));
        assert_eq!(asked(&["999999999999999"]), Ok(INTEGER_MAX));
    }

    #[test]
    fn what_is_no_height_is_refused() {
        let digest = "0".repeat(64);
        let many: Vec<String> = (0..=MIN_HEIGHTS_MAX).map(|at| format!("1;network=\"{at:064}\"")).collect();
        for wrong in [
            "",
            "x",
            "-1",
            "+1",
            "1.0",
            "1,",
            "1;",
            "1000000000000000",
            "1;network=0",
            "1;network=\"0\"",
            &format!("1;height=\"{digest}\""),
            &many.join(","),
        ] {
            assert_eq!(asked(&[wrong]), Err("min-height".to_owned()), "{wrong:?}");
        }
    }
}
