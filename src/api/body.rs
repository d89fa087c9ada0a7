//! Owns reading request bodies: bounded, JSON only, with the path of the field that is wrong.

use actix_web::{HttpRequest, http::StatusCode, http::header, web};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Largest request body: the text form of the largest document, with room for its envelope.
pub const BODY_LEN_MAX: usize = 4 * althing_contracts::document::DOCUMENT_LEN_MAX + 4 * 1024;
/// How much of an oversized body is read and thrown away, so that a client that is still sending gets its answer.
const DISCARDED_LEN_MAX: usize = 32 * 1024 * 1024;

/// Reads the whole body.
///
/// # Errors
/// It is above [`BODY_LEN_MAX`], or the client broke off.
pub(crate) async fn read(request: &HttpRequest, mut payload: web::Payload) -> Result<web::Bytes, Problem> {
    check_media_type(request)?;
    let mut body = web::BytesMut::new();
    let mut len = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| Problem::bad_request("body", format!("the body broke off: {error}")))?;
        len = len.saturating_add(chunk.len());
        if len <= BODY_LEN_MAX {
            body.extend_from_slice(&chunk);
        } else if len > DISCARDED_LEN_MAX {
            break;
        }
    }
    if len > BODY_LEN_MAX { Err(too_large(request, len)) } else { Ok(body.freeze()) }
}

fn check_media_type(request: &HttpRequest) -> Result<(), Problem> {
    let given =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = format!("the body must be sent with content-type application/json, not {essence:?}");
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media-type",
        "The request is not understood",
        detail,
    ))
}

fn too_large(request: &HttpRequest, read_len: usize) -> Problem {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let len = declared.and_then(|text| text.parse().ok()).unwrap_or(read_len);
    let detail = format!(
        "the body has {len} bytes, at most {BODY_LEN_MAX} are allowed; split the change into smaller proposals"
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
}

/// Reads a value out of JSON.
///
/// # Errors
/// Names the path of the first field that is unknown, missing, or of the wrong type or unit.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let detail = format!("{path}: {}", error.inner());
        Problem::bad_request("field", detail).at(path)
    })?;
    reader.end().map_err(|error| Problem::bad_request("body", format!("after the JSON value: {error}")))?;
    Ok(value)
}
