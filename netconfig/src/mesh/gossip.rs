//! Owns gossip: topics, limits, message ids and the score parameters of gossipsub.
//!
//! Gossip carries hints. Messages have no author signature of their own (the bytes prove themselves) and are
//! passed on only after the node's verdict. Whoever forwards what the node rejects is soon no longer heard.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use libp2p::gossipsub::{
    self, Config, ConfigBuilder, Message, MessageAuthenticity, MessageId, PeerScoreParams,
    PeerScoreThresholds, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};

pub(super) use self::topics::Topics;

mod topics;

/// Largest gossip packet, in bytes: a transaction with the largest document, and the envelope.
/// Every node must use the same value: a larger packet never arrives and closes the sender's gossip stream.
pub const GOSSIP_TRANSMIT_LEN_MAX: usize = 96 * 1024;
/// Largest gossip message, in bytes: the packet less 1 KiB for gossipsub's envelope.
pub const GOSSIP_MESSAGE_LEN_MAX: usize = GOSSIP_TRANSMIT_LEN_MAX - 1024;
/// How long the node may take for a verdict; gossipsub forgets the message soon after.
pub const VERDICT_WAIT_MAX: Duration = Duration::from_secs(3);
/// Verdicts awaited at once; a message beyond them is ignored, for the node is overloaded.
pub(super) const VERDICTS_PENDING_MAX: usize = 4_096;
/// Of which one neighbour may cause so many, so that one that floods leaves the others their places.
pub(super) const VERDICTS_OF_NEIGHBOUR_MAX: usize = VERDICTS_PENDING_MAX / 8;
/// Bytes of gossip that wait for the node; a message beyond them is ignored.
pub(super) const UNREAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Of which one neighbour may send so many: twenty of the largest messages.
pub(super) const UNREAD_BYTES_OF_NEIGHBOUR_MAX: usize = UNREAD_BYTES_MAX / 8;
/// Messages waiting for one slow neighbour; with the packet's limit it bounds memory to 48 MiB a neighbour.
const NEIGHBOUR_QUEUE_LEN_MAX: usize = 512;
/// How long a message is remembered as seen. Equal bytes published again within it are not sent again, so it
/// must be longer than gossip lives (5 heartbeats) and shorter than a sender waits before it repeats.
const SEEN_FOR: Duration = Duration::from_secs(10);
/// Score lost with one report of misbehaviour by the node.
pub(super) const MISBEHAVIOUR_PENALTY: f64 = 10.0;

const _: () = assert!(GOSSIP_MESSAGE_LEN_MAX >= althing_contracts::transaction::TRANSACTION_LEN_MAX);

/// Gossipsub that keeps nothing of topics that are not the network's: neither who wants them nor their messages.
pub(super) type Behaviour = gossipsub::Behaviour<Topics, WhitelistSubscriptionFilter>;

/// Gossipsub with both topics subscribed.
pub(super) fn behaviour(network: &str, topics: &Topics) -> Result<Behaviour, String> {
    let config = config(network)?;
    let mut gossip = Behaviour::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config,
        WhitelistSubscriptionFilter(topics.hashes().cloned().collect()),
        topics.clone(),
    )?;
    gossip.with_peer_score(score_params(topics), thresholds())?;
    for topic in topics.idents() {
        gossip.subscribe(topic).map_err(|error| error.to_string())?;
    }
    Ok(gossip)
}

fn config(network: &str) -> Result<Config, String> {
    ConfigBuilder::default()
        .protocol_id_prefix(format!("/althing/{network}/gossip"))
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .max_transmit_size(GOSSIP_TRANSMIT_LEN_MAX)
        .connection_handler_queue_len(NEIGHBOUR_QUEUE_LEN_MAX)
        .duplicate_cache_time(SEEN_FOR)
        .heartbeat_interval(Duration::from_secs(1))
        .heartbeat_initial_delay(Duration::from_millis(100))
        .flood_publish(true)
        .build()
        .map_err(|error| error.to_string())
}

/// The id of a message: BLAKE3 of its topic, length-prefixed, and its bytes; equal bytes are one message
/// whoever sends them.
fn message_id(message: &Message) -> MessageId {
    let mut hasher = blake3::Hasher::new();
    let topic = message.topic.as_str().as_bytes();
    hasher.update(&u64::try_from(topic.len()).expect("a length fits 64 bits").to_le_bytes());
    hasher.update(topic);
    hasher.update(&message.data);
    MessageId::from(hasher.finalize().as_bytes().to_vec())
}

/// Scores by hand: gossipsub's defaults let a sender of nothing but invalid messages keep a score above 1,000.
///
/// A neighbour earns at most 20 points by useful messages. Invalid ones cost 20 × n² in each topic: one is
/// forgiven, the third puts the neighbour below [`thresholds`]' graylist, and it takes half an hour without
/// another to be forgotten. Addresses say nothing in a mesh of named nodes, so colocation costs nothing.
fn score_params(topics: &Topics) -> PeerScoreParams {
    let topics: HashMap<_, _> = topics.hashes().map(|hash| (hash.clone(), topic_score_params())).collect();
    PeerScoreParams {
        topics,
        topic_score_cap: 20.0,
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        ip_colocation_factor_threshold: 10.0,
        ip_colocation_factor_whitelist: HashSet::new(),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.9,
        decay_interval: Duration::from_secs(1),
        decay_to_zero: 0.01,
        retain_score: Duration::from_mins(30),
        slow_peer_weight: -0.2,
        slow_peer_threshold: 64.0,
        slow_peer_decay: 0.9,
    }
}

/// Delivery quotas (P3) are off: on a quiet mesh nobody delivers anything, and silence is no offence.
fn topic_score_params() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 1.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_decay: 0.95,
        first_message_deliveries_cap: 100.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: 0.997,
        ..TopicScoreParams::default()
    }
}

/// Below `gossip` no ids are exchanged, below `publish` nothing is sent, below `graylist` nothing is heard.
fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -20.0,
        publish_threshold: -60.0,
        graylist_threshold: -100.0,
        accept_px_threshold: 100.0,
        opportunistic_graft_threshold: 0.5,
    }
}

#[cfg(test)]
mod tests {
    use libp2p::gossipsub::{IdentTopic, SubscriptionError, TopicHash};

    use super::*;

    fn message(topic: &str, data: &[u8]) -> Message {
        Message {
            source: None,
            data: data.to_vec(),
            sequence_number: None,
            topic: TopicHash::from_raw(topic),
        }
    }

    #[test]
    fn the_message_id_is_pinned_and_binds_topic_and_bytes() {
        let id = message_id(&message("a", b"bc"));
        assert_eq!(hex::encode(&id.0), "459d2c485143766658f1d6eb529aff39175164a0793c2a12e038a8d9386ceb96");
        assert_ne!(id, message_id(&message("ab", b"c")));
        assert_ne!(id, message_id(&message("a", b"bd")));
        assert_eq!(id, message_id(&message("a", b"bc")));
    }

    #[test]
    fn topics_of_nobody_are_not_taken_up() {
        let mut gossip = behaviour("0011", &Topics::of("0011")).unwrap();
        let refused = gossip.subscribe(&IdentTopic::new("foreign"));
        assert!(matches!(refused, Err(SubscriptionError::NotAllowed)));
    }

    #[test]
    fn the_parameters_are_ones_that_gossipsub_takes() {
        assert!(behaviour("0011", &Topics::of("0011")).is_ok());
    }
}
