//! Owns opening the API's sockets: loopback addresses only, and a Unix socket that only its owner can open.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt as _, net::UnixListener, net::UnixStream},
    path::{Path, PathBuf},
};

use nix::sys::socket::Backlog;

/// Connections that may wait to be accepted: a thousand clients that come at once.
const BACKLOG: i32 = 1_024;
/// Longest path of a Unix socket on Linux, the final zero byte included (`unix(7)`).
const SOCKET_PATH_LEN_MAX: usize = 108;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not a loopback address.
    #[error(
        "{address} is not a loopback address; the API has no TLS, so it listens on 127.0.0.1 or [::1] only"
    )]
    NotLoopback {
        /// As asked.
        address: SocketAddr,
    },
    /// Somebody listens there.
    #[error("{place} is in use by another process; stop it or choose another one")]
    InUse {
        /// Address or path.
        place: String,
    },
    /// The path does not fit into a socket address.
    #[error(
        "the socket path {path} has {len} bytes, at most {max} are possible; choose a shorter data directory"
    )]
    TooLong {
        /// As asked.
        path: PathBuf,
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The system refused.
    #[error("cannot listen on {place}")]
    Io {
        /// Address or path.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Opens a loopback TCP listener; port 0 takes a free one.
pub(crate) fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback { address });
    }
    let open = || {
        let listener = TcpListener::bind(address)?;
        // The library asks for 128. Linux drops who comes after, and they try again after seconds, up to half a minute.
        nix::sys::socket::listen(&listener, Backlog::new(BACKLOG)?)?;
        listener.set_nonblocking(true)?;
        Ok::<_, io::Error>(listener)
    };
    open().map_err(|source| io_error(address.to_string(), source))
}

/// Opens a Unix socket with mode 0600, taking the place of one that nobody listens on.
pub(crate) fn unix(path: &Path) -> Result<UnixListener, ListenError> {
    let place = path.display().to_string();
    let len = path.as_os_str().len();
    if len >= SOCKET_PATH_LEN_MAX {
        return Err(ListenError::TooLong { path: path.to_owned(), len, max: SOCKET_PATH_LEN_MAX - 1 });
    }
    if path.exists() {
        if UnixStream::connect(path).is_ok() {
            return Err(ListenError::InUse { place });
        }
        fs::remove_file(path).map_err(|source| io_error(place.clone(), source))?;
    }
    let open = || {
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|source| io_error(place, source))
}

fn io_error(place: String, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { place },
        _ => ListenError::Io { place, source },
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, time::Duration};

    use super::*;

    #[test]
    fn a_port_in_use_is_named() {
        let taken = tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = taken.local_addr().unwrap();
        let message = tcp(address).unwrap_err().to_string();
        assert_eq!(message, format!("{address} is in use by another process; stop it or choose another one"));
    }

    #[test]
    fn clients_that_come_at_once_wait_to_be_accepted_and_are_not_dropped() {
        let listener = tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        // A dropped client's first try again is after a second: none of these waits for one.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(900)).unwrap();
        let clients: Vec<TcpStream> = (0..500).map(connect).collect();
        assert_eq!(clients.len(), 500);
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        assert!(matches!(tcp("0.0.0.0:0".parse().unwrap()), Err(ListenError::NotLoopback { .. })));
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        drop(unix(&path).unwrap());
        let live = unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(unix(&path), Err(ListenError::InUse { .. })));
        drop(live);
    }
}
