//! Owns the one form of every error answer: RFC 9457 problem details with a stable code.
//!
//! Refuses to leak sources of errors to clients beyond their first sentence.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode, http::header};
use althing_actors::ledger::message::{ReadError, SubmitError};
use althing_contracts::reject::Reject;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::backend::{ActError, ExportError};

/// Media type of every error answer.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
/// Seconds after which a client may ask again when an answer is retryable.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a request was not carried out (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:althing:problem:` with the code.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    /// What happened, the same for every problem of the code.
    #[schema(value_type = String)]
    pub title: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, why, and what to do.
    pub detail: String,
    /// Stable name of the problem.
    pub code: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Path of the field that is wrong, when one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// Builds a problem that asking again does not solve.
    pub fn new(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:althing:problem:{code}").into(),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            retryable: false,
            field: None,
        }
    }

    /// The same problem, which waiting may solve.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// The same problem, about one field.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// The request is not in the API's form.
    pub fn bad_request(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, "The request is not understood", detail)
    }

    /// There is no such thing.
    pub fn not_found(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, "There is no such thing", detail)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(PROBLEM_MEDIA_TYPE);
        if self.retryable {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        response.body(serde_json::to_vec(self).expect("a problem has only string keys"))
    }
}

impl From<Reject> for Problem {
    fn from(reject: Reject) -> Self {
        let field = match &reject {
            Reject::Document { field, .. } => Some(field.clone()),
            _ => None,
        };
        let (status, title) = reject_status(&reject);
        Self {
            retryable: reject.can_waiting_help(),
            field,
            ..Self::new(status, reject.code(), title, reject.to_string())
        }
    }
}

fn reject_status(reject: &Reject) -> (StatusCode, &'static str) {
    match reject {
        Reject::UnknownProposal { .. } => (StatusCode::NOT_FOUND, "There is no such proposal"),
        Reject::UnknownEmergency { .. } => (StatusCode::NOT_FOUND, "There is no such emergency"),
        Reject::NotAMember { .. }
        | Reject::NotInRole { .. }
        | Reject::WrongRole { .. }
        | Reject::OwnOrganisation { .. }
        | Reject::NotTheAuthor { .. }
        | Reject::NotEligible { .. }
        | Reject::NotAnExecutor { .. }
        | Reject::VetoesSpent { .. }
        | Reject::TermOver { .. }
        | Reject::PowerSuspended { .. }
        | Reject::VetoOnGuardians
        | Reject::ExecutorSuspended { .. } => (StatusCode::FORBIDDEN, "The member may not do this"),
        Reject::Document { .. } | Reject::UnknownTarget { .. } | Reject::Evidence { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The content is refused")
        }
        _ => (StatusCode::CONFLICT, "The ledger does not allow this as it stands"),
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        let unavailable = |code, title| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, &*detail);
        match error {
            SubmitError::Rejected(reject) => reject.into(),
            SubmitError::Busy { .. } => unavailable("busy", "The ledger has too much to do").retryable(),
            SubmitError::ReadOnly(_) => unavailable("read-only", "The node only reads"),
            SubmitError::Stopping => unavailable("stopping", "The node is stopping").retryable(),
            SubmitError::Unknown => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "undecided", "The outcome is not known yet", detail)
                    .retryable()
            }
            SubmitError::Malformed(_) | SubmitError::Signature => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "not-taken",
                "The ledger refused the bytes",
                detail,
            ),
        }
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        let detail = error.to_string();
        match error {
            ActError::Submit(error) => error.into(),
            ActError::NoKey { .. } | ActError::OtherKey(_) => {
                Self::new(StatusCode::FORBIDDEN, "no-key", "The member's key is not on this node", detail)
            }
            ActError::Signer(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "signer", "The signer did not sign", detail)
                    .retryable()
            }
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        match error {
            ReadError::Pruned { .. } => {
                Self::new(StatusCode::GONE, "pruned", "This part of history is not kept", detail)
            }
            ReadError::Store(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", "The store failed", detail).retryable()
            }
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Read(error) => error.into(),
            ExportError::Write(error) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "bundle",
                "The bundle was not written",
                format!("the bundle cannot be written: {error}"),
            ),
        }
    }
}
