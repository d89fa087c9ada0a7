//! Owns who may reach the API: on the Unix socket the node's own user and root, on loopback requests that name a
//! loopback host. Refuses everyone else, and pages of other sites that point a name of theirs at loopback.

use std::{any::Any, net::IpAddr};

use actix_web::{
    Error, ResponseError as _,
    body::MessageBody,
    dev::{Extensions, ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
};

use super::problem::Problem;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// A process on this machine, by its user.
    Local { uid: u32 },
    /// The socket did not say.
    Unnamed,
}

/// Notes the peer's credentials when a Unix connection is accepted.
pub(crate) fn note_caller(connection: &dyn Any, extensions: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<tokio::net::UnixStream>() {
        let caller = stream.peer_cred().map_or(Caller::Unnamed, |cred| Caller::Local { uid: cred.uid() });
        extensions.insert(caller);
    }
}

/// Lets a request through or refuses it with 403 or 421.
///
/// # Errors
/// As the route that follows.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<actix_web::body::EitherBody<impl MessageBody>>, Error> {
    let verdict = match request.conn_data::<Caller>() {
        Some(caller) => check_caller(*caller, nix::unistd::geteuid().as_raw()),
        None => check_host(&request),
    };
    match verdict {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
    }
}

fn check_caller(caller: Caller, own_uid: u32) -> Result<(), Problem> {
    match caller {
        Caller::Local { uid } if uid == own_uid || uid == 0 => Ok(()),
        Caller::Local { uid } => {
            Err(refused(format!("user {uid} may not use this node; it serves user {own_uid} and root")))
        }
        Caller::Unnamed => Err(refused("the socket does not say who is calling".to_owned())),
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "not-the-owner", "The caller may not use this node", detail)
}

fn check_host(request: &ServiceRequest) -> Result<(), Problem> {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    if is_loopback(host) {
        return Ok(());
    }
    let detail =
        format!("this listener serves loopback names only, not {host:?}; use 127.0.0.1 or localhost");
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host", "The request is not for this node", detail))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_user_and_root_pass() {
        assert!(check_caller(Caller::Local { uid: 1000 }, 1000).is_ok());
        assert!(check_caller(Caller::Local { uid: 0 }, 1000).is_ok());
        let refused = check_caller(Caller::Local { uid: 1001 }, 1000).unwrap_err();
        assert_eq!(refused.detail, "user 1001 may not use this node; it serves user 1000 and root");
        assert!(check_caller(Caller::Unnamed, 1000).is_err());
    }

    #[test]
    fn only_loopback_names_pass() {
        for host in ["127.0.0.1:80", "localhost", "LOCALHOST:1", "[::1]:80", "[::1]", "127.1.2.3"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1.example.org:80", "10.0.0.1:80", "localhost.example.org"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
