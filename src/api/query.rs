//! Owns reading the query of an address, with the name of the field that is wrong.

use std::{
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Query<T>(T);

impl<T> Query<T> {
    /// What was asked for.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Self))
    }
}

/// Reads a value out of a query.
///
/// # Errors
/// Names the first field that is unknown or of the wrong type, or says which one is there twice or missing.
fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let path = error.path().to_string();
        let problem = |detail| Problem::bad_request("query", detail);
        // A field that is missing, or there twice, has no place.
        if path == "." || path == "?" {
            return problem(format!("the query of the address cannot be read: {}", error.inner()));
        }
        problem(format!("{path}, in the query of the address, cannot be read: {}", error.inner())).at(path)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        from: u64,
        to: Option<u16>,
        name: Option<String>,
    }

    #[test]
    fn fields_are_read_by_name_and_decoded() {
        let read = parse::<Wanted>("name=a%20b%26c&from=7").unwrap();
        assert_eq!(read, Wanted { from: 7, to: None, name: Some("a b&c".to_owned()) });
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, field, detail) in [
            (
                "from=abc",
                Some("from"),
                "from, in the query of the address, cannot be read: invalid digit found in string",
            ),
            (
                "from=1&to=65536",
                Some("to"),
                "to, in the query of the address, cannot be read: number too large",
            ),
            ("from=1&from=2", None, "duplicate field `from`"),
            ("from=1&until=2", Some("until"), "cannot be read: unknown field `until`, expected one of"),
            ("to=1", None, "missing field `from`"),
        ] {
            let problem = parse::<Wanted>(query).unwrap_err();
            assert!(problem.detail.contains(detail), "{query}: {}", problem.detail);
            assert_eq!(problem.field.as_deref(), field, "{query}");
            assert_eq!((problem.status, problem.code.as_str()), (400, "query"));
        }
    }
}
