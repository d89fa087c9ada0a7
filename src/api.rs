//! Owns the HTTP API of a node: sockets, limits, routes and their one form of errors.
//!
//! It listens on a Unix socket, which checks who calls, and on loopback; it has no TLS and refuses other
//! addresses. It sees the node through [`backend::Backend`] alone.

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web};
use tokio::sync::{Semaphore, watch};
use tracing::info;

use self::{
    backend::Backend,
    idempotency::IdempotencyStore,
    listen::ListenError,
    route::{STREAMS_MAX, Shared, trials::TRIALS_MAX},
};

mod access;
pub mod backend;
pub mod body;
pub mod height;
mod history;
pub mod idempotency;
pub mod listen;
pub mod openapi;
pub mod problem;
mod query;
pub mod route;
pub mod view;

/// Threads that serve the API: handlers do no heavy work.
const WORKERS: usize = 2;
/// Most connections of one worker: a thousand clients may stay connected and still leave room. Whoever comes after them is
/// not accepted, and waits without being told.
const CONNECTIONS_MAX: usize = 1_024;
/// Longest time for a client to send the head of a request; `actix-http` holds heads at 96 headers and 128 KiB.
const REQUEST_HEAD_MAX: Duration = Duration::from_secs(10);
/// Seconds that requests in flight have to end when the API stops; a node has five in all.
const STOP_SECONDS_MAX: u64 = 3;

/// Where an API listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiConfig {
    /// Path of the Unix socket.
    pub socket: Option<PathBuf>,
    /// Loopback address; port 0 takes a free one.
    pub address: Option<SocketAddr>,
    /// Loopback address of the admin listener; port 0 takes a free one.
    pub admin: Option<SocketAddr>,
}

/// A running API. Dropping it leaves the servers running; end them with [`Api::stop`].
pub struct Api {
    /// Where it listens, with the ports taken.
    pub places: ApiConfig,
    servers: Vec<ServerHandle>,
    closing: watch::Sender<bool>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Api {
    /// Opens the sockets of `config` and serves `backend` on them. Needs a Tokio runtime.
    ///
    /// # Errors
    /// A socket cannot be opened; nothing is served then.
    pub fn start(config: &ApiConfig, backend: Arc<dyn Backend>) -> Result<Self, ListenError> {
        let (closing, closed) = watch::channel(false);
        let shared = Shared {
            backend,
            idempotency: Arc::new(IdempotencyStore::default()),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            trials: Arc::new(Semaphore::new(TRIALS_MAX)),
            closing: closed,
        };
        let mut api = Self { places: config.clone(), servers: Vec::new(), closing };
        let sockets = api.open()?;
        api.serve(shared, sockets)?;
        Ok(api)
    }

    /// Ends streams and waits, then the requests in flight, then the servers.
    pub async fn stop(self) {
        self.closing.send_replace(true);
        futures::future::join_all(self.servers.iter().map(|server| server.stop(true))).await;
        if let Some(socket) = &self.places.socket {
            // The socket may have been removed with its directory; there is nothing left to do then.
            let _removed = std::fs::remove_file(socket);
        }
    }

    fn open(&mut self) -> Result<Sockets, ListenError> {
        let unix = self.places.socket.as_deref().map(listen::unix).transpose()?;
        let tcp = self.places.address.map(listen::tcp).transpose()?;
        let admin = self.places.admin.map(listen::tcp).transpose()?;
        let address_of = |listener: &TcpListener| listener.local_addr().ok();
        self.places.address = tcp.as_ref().and_then(address_of);
        self.places.admin = admin.as_ref().and_then(address_of);
        Ok(Sockets { unix, tcp, admin })
    }

    fn serve(&mut self, shared: Shared, sockets: Sockets) -> Result<(), ListenError> {
        let writes = shared.backend.takes_writes();
        let data = web::Data::new(shared);
        let api_data = data.clone();
        let mut server = HttpServer::new(move || {
            App::new()
                .app_data(api_data.clone())
                .wrap(from_fn(height::keep))
                .wrap(from_fn(access::guard))
                .configure(|config| route::configure(config, writes))
        });
        server = server
            .disable_signals()
            .workers(WORKERS)
            .max_connections(CONNECTIONS_MAX)
            .client_request_timeout(REQUEST_HEAD_MAX)
            .shutdown_timeout(STOP_SECONDS_MAX)
            .on_connect(access::note_caller);
        if let Some(listener) = sockets.unix {
            server = server.listen_uds(listener).map_err(|source| failed(&self.places, source))?;
        }
        if let Some(listener) = sockets.tcp {
            server = server.listen(listener).map_err(|source| failed(&self.places, source))?;
        }
        self.run(server.run());
        if let Some(listener) = sockets.admin {
            self.serve_admin(data, listener)?;
        }
        let places = &self.places;
        info!(socket = ?places.socket, address = ?places.address, admin = ?places.admin, "api listening");
        Ok(())
    }

    fn serve_admin(&mut self, data: web::Data<Shared>, listener: TcpListener) -> Result<(), ListenError> {
        let server = HttpServer::new(move || {
            App::new().app_data(data.clone()).wrap(from_fn(access::guard)).configure(route::admin::configure)
        });
        let server = server
            .disable_signals()
            .workers(1)
            .max_connections(CONNECTIONS_MAX)
            .client_request_timeout(REQUEST_HEAD_MAX)
            .shutdown_timeout(STOP_SECONDS_MAX)
            .listen(listener);
        self.run(server.map_err(|source| failed(&self.places, source))?.run());
        Ok(())
    }

    fn run(&mut self, server: actix_web::dev::Server) {
        self.servers.push(server.handle());
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "api server failed");
            }
        });
    }
}

struct Sockets {
    unix: Option<UnixListener>,
    tcp: Option<TcpListener>,
    admin: Option<TcpListener>,
}

fn failed(places: &ApiConfig, source: std::io::Error) -> ListenError {
    ListenError::Io { place: format!("{places:?}"), source }
}
