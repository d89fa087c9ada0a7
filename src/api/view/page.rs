//! Owns lists that come in pages: a bounded page and the token of the next one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::problem::Problem;

/// Entries of a page when the client does not say.
pub const PAGE_SIZE_DEFAULT: u16 = 50;
/// Most entries of a page.
pub const PAGE_SIZE_MAX: u16 = 500;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries in order.
    pub items: Vec<T>,
    /// Give it as `page_token` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Which page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Entries wanted, 1 to 500; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    pub page_size: Option<u16>,
    /// `next_page_token` of the page before.
    pub page_token: Option<String>,
}

impl PageQuery {
    /// The bounded size.
    ///
    /// # Errors
    /// Refuses sizes outside 1 to [`PAGE_SIZE_MAX`].
    pub fn size(&self) -> Result<usize, Problem> {
        match self.page_size.unwrap_or(PAGE_SIZE_DEFAULT) {
            size @ 1..=PAGE_SIZE_MAX => Ok(size.into()),
            found => {
                let detail = format!("page_size is {found}; it must be from 1 to {PAGE_SIZE_MAX}");
                Err(Problem::bad_request("page-size", detail).at("page_size"))
            }
        }
    }

    /// The token read as the key after which the page starts.
    ///
    /// # Errors
    /// It is not a token of this list.
    pub fn after<K: std::str::FromStr>(&self) -> Result<Option<K>, Problem> {
        let Some(token) = &self.page_token else { return Ok(None) };
        token.parse().map(Some).map_err(|_| {
            let detail = "page_token is not one that this list gave; start again without it";
            Problem::bad_request("page-token", detail).at("page_token")
        })
    }
}

impl<T> Page<T> {
    /// Takes a page from the entries that follow the last one sent, each with its key.
    pub fn take<K: ToString>(entries: impl Iterator<Item = (K, T)>, size: usize) -> Self {
        let mut entries = entries.peekable();
        let mut items = Vec::new();
        let mut last = None;
        for (key, item) in entries.by_ref().take(size) {
            items.push(item);
            last = Some(key);
        }
        let next_page_token = entries.peek().and(last).map(|key| key.to_string());
        Self { items, next_page_token }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let page = |after: u32| Page::take((after + 1..=5).map(|n| (n, n)), 2);
        assert_eq!(page(0), Page { items: vec![1, 2], next_page_token: Some("2".to_owned()) });
        assert_eq!(page(2), Page { items: vec![3, 4], next_page_token: Some("4".to_owned()) });
        assert_eq!(page(4), Page { items: vec![5], next_page_token: None });
    }

    #[test]
    fn sizes_and_tokens_are_bounded() {
        let query = |size| PageQuery { page_size: Some(size), page_token: Some("x".to_owned()) };
        assert_eq!(query(0).size().unwrap_err().detail, "page_size is 0; it must be from 1 to 500");
        assert!(query(501).size().is_err());
        assert_eq!(query(500).size(), Ok(500));
        assert_eq!(query(1).after::<u64>().unwrap_err().code, "page-token");
    }
}
