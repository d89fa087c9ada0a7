//! The mesh between real swarms on loopback: delivery, order, admission, recovery, bounds, hostile peers.

mod admission;
mod counters;
mod delivery;
mod hostile;
mod measure;
mod node;
mod recovery;
