//! Owns moving a mesh that was written for loopback to addresses of its own: where nodes listen, whom they dial, and
//! where services answer.

use std::{collections::BTreeMap, error::Error, fs};

use althing_contracts::{genesis::Genesis, name::Line};
use althing_netconfig::config::Config;
use libp2p::{Multiaddr, multiaddr::Protocol};

use super::Node;

/// What the addresses of a mesh that was just written begin with.
const LOOPBACK: &str = "127.0.0.1";

/// Changes where every node listens and dials.
pub(super) fn configurations(
    nodes: &[Node],
    address: &impl Fn(usize) -> String,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let read = |node: &Node| {
        Ok::<_, Box<dyn Error + Send + Sync>>(toml::from_str::<Config>(&fs::read_to_string(&node.config)?)?)
    };
    let mut configs = nodes.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut moved = BTreeMap::new();
    for (at, config) in configs.iter_mut().enumerate() {
        for listen in &mut config.p2p.listen {
            let there = to(listen, &address(at))?;
            moved.insert(std::mem::replace(listen, there.clone()), there);
        }
    }
    for (node, config) in nodes.iter().zip(&mut configs) {
        for bootstrap in &mut config.p2p.bootstrap {
            let there = moved.get(&bootstrap.address).ok_or("a node dials an address where none listens")?;
            bootstrap.address = there.clone();
        }
        // An address of loopback is another one inside than outside; a path is the same everywhere.
        config.api.listen = None;
        fs::write(&node.config, toml::to_string_pretty(config)?)?;
    }
    Ok(())
}

/// Changes where the services of every target answer: on the machine of the target's owner.
pub(super) fn endpoints(
    nodes: &[Node],
    genesis: &mut Genesis,
    address: &impl Fn(usize) -> String,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    for target in genesis.targets.values_mut() {
        let owner = nodes.iter().position(|node| node.name() == target.owner.as_str());
        let owner = owner.ok_or("a target's owner has no node")?;
        for endpoint in &mut target.endpoints {
            *endpoint = Line::new(&endpoint.as_str().replace(LOOPBACK, &address(owner)))?;
        }
    }
    Ok(())
}

fn to(from: &Multiaddr, address: &str) -> Result<Multiaddr, Box<dyn Error + Send + Sync>> {
    let address = Protocol::Ip4(address.parse()?);
    from.replace(0, |_| Some(address)).ok_or_else(|| format!("{from} has no host").into())
}
