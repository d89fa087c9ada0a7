//! Ports that somebody else has.

use std::net::{TcpListener, UdpSocket};

use crate::program::Written;

#[test]
fn a_port_of_the_mesh_in_use_is_named_with_the_remedy() {
    let mesh = Written::new();
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/udp/{}/quic-v1", holder.local_addr().unwrap().port());
    let configured = mesh.line("acme/node.toml", "listen = [");
    mesh.edit("acme/node.toml", &configured, &format!("listen = [\"{address}\"]"));
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail),
        (
            8,
            format!(
                "the address {address} is in use by another process; stop that process, or set another address or \
                 port 0 in `p2p.listen`"
            )
        )
    );
}

/// It meets its own ports and sockets as well; why it must not run is the directory.
#[test]
fn a_second_start_of_a_node_names_the_directory_and_not_the_port() {
    let mesh = Written::new();
    let holder = mesh.start("acme");
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail),
        (
            8,
            format!(
                "the ledger does not start: the data directory DIR/acme/data is in use by process {}; stop that process \
                 or choose another directory",
                holder.pid()
            )
        )
    );
}

#[test]
fn a_port_of_the_api_in_use_is_named() {
    let mesh = Written::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let configured = mesh.line("acme/node.toml", "listen = \"127");
    mesh.edit("acme/node.toml", &configured, &format!("listen = \"{address}\""));
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail),
        (8, format!("{address} is in use by another process; stop it or choose another one"))
    );
}
