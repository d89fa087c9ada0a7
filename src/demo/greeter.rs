//! Owns the greeter: the small web service that `althing dev` governs. Each instance is a process of its own;
//! its release file says which version it is and how well it behaves.
//!
//! Refuses a release file with unknown fields, so that an artefact means one thing.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use serde::Deserialize;

/// Largest release file that is read.
const RELEASE_LEN_MAX: u64 = 64 * 1024;

/// Arguments of one instance.
#[derive(Debug, Clone, clap::Args)]
pub struct GreeterArguments {
    /// The release file to serve.
    #[arg(long)]
    release: PathBuf,
    /// The address to listen on.
    #[arg(long)]
    listen: SocketAddr,
}

/// What a release file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    version: String,
    greeting: String,
    fail_percent: u8,
    latency_ms: u64,
}

/// Why an instance could not serve.
#[derive(Debug, thiserror::Error)]
pub enum GreeterError {
    /// The release file cannot be read.
    #[error("the release file {path} cannot be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The release file is not one.
    #[error("the release file {path} is not valid")]
    Release {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The address cannot be used.
    #[error("cannot serve on {listen}")]
    Serve {
        /// Which.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

struct Instance {
    release: Release,
    requests: AtomicU64,
}

/// Serves one release until the process is told to stop.
///
/// # Errors
/// The release file or the address cannot be used.
pub async fn run(arguments: &GreeterArguments) -> Result<(), GreeterError> {
    let release = read_release(&arguments.release)?;
    let instance = web::Data::new(Instance { release, requests: AtomicU64::new(0) });
    let listen = arguments.listen;
    let server =
        HttpServer::new(move || App::new().app_data(instance.clone()).default_service(web::to(answer)));
    let bound = server.workers(1).shutdown_timeout(1).bind(listen);
    let outcome = match bound {
        Ok(server) => server.run().await,
        Err(error) => Err(error),
    };
    outcome.map_err(|source| GreeterError::Serve { listen, source })
}

fn read_release(path: &Path) -> Result<Release, GreeterError> {
    let unreadable = |source| GreeterError::Read { path: path.to_owned(), source };
    let len = std::fs::metadata(path).map_err(unreadable)?.len();
    if len > RELEASE_LEN_MAX {
        return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    toml::from_str(&text)
        .map_err(|source| GreeterError::Release { path: path.to_owned(), source: Box::new(source) })
}

async fn answer(instance: web::Data<Instance>) -> HttpResponse {
    let Instance { release, requests } = &**instance;
    let number = requests.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(release.latency_ms)).await;
    if fails(number, release.fail_percent) {
        return HttpResponse::InternalServerError().body("the greeter has lost its words\n");
    }
    HttpResponse::Ok()
        .insert_header(("x-greeter-version", release.version.as_str()))
        .body(format!("{}, from greeter {}\n", release.greeting, release.version))
}

/// Spreads the failing share evenly over successive requests: 61 has no common factor with 100.
const fn fails(number: u64, fail_percent: u8) -> bool {
    number.wrapping_mul(61) % 100 < fail_percent as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failing_share_is_exact_over_a_hundred_requests() {
        for percent in [0, 1, 60, 100] {
            let failed = (0..100).filter(|number| fails(*number, percent)).count();
            assert_eq!(failed, usize::from(percent));
        }
    }

    #[test]
    fn a_release_with_an_unknown_field_is_refused() {
        let text = "version = '1'\ngreeting = 'x'\nfail_percent = 0\nlatency_ms = 0\nextra = 1\n";
        assert!(toml::from_str::<Release>(text).is_err());
    }
}
