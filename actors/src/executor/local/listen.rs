//! Owns the addresses on which instances listen: `host:port` of a target's endpoints, in order.

use althing_contracts::{genesis::TargetRecord, name::Line};
use reqwest::Url;

use crate::port::ProviderError;

/// The addresses of the first `instances` endpoints.
///
/// # Errors
/// The target has too few endpoints, or one is not a URL with a host and a port.
pub fn addresses(record: &TargetRecord, instances: u8) -> Result<Vec<String>, ProviderError> {
    let wanted = usize::from(instances);
    if record.endpoints.len() < wanted {
        let found = record.endpoints.len();
        return Err(ProviderError::Refused(format!(
            "{wanted} instances need as many endpoints, the target is registered with {found}"
        )));
    }
    record.endpoints.iter().take(wanted).map(address).collect()
}

fn address(endpoint: &Line) -> Result<String, ProviderError> {
    let refused = || {
        let problem = "is not a URL with a host and a port, for example http://127.0.0.1:8080";
        ProviderError::Refused(format!("the endpoint {endpoint} {problem}"))
    };
    let url = Url::parse(endpoint.as_str()).map_err(|_| refused())?;
    let (host, port) =
        (url.host_str().ok_or_else(refused)?, url.port_or_known_default().ok_or_else(refused)?);
    Ok(format!("{host}:{port}"))
}
