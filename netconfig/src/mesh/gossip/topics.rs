//! Owns the topics of one network. A message on another topic is dropped before anything of it is kept: gossipsub itself
//! remembers such messages for seconds, which lets one peer fill the memory of its neighbours.

use std::io;

use libp2p::gossipsub::{DataTransform, IdentTopic, Message, RawMessage, TopicHash};

use crate::mesh::event::Topic;

/// The topics of one network.
#[derive(Debug, Clone)]
pub(in crate::mesh) struct Topics {
    topics: [(Topic, IdentTopic, TopicHash); Topic::ALL.len()],
}

impl Topics {
    pub(in crate::mesh) fn of(network: &str) -> Self {
        Self {
            topics: Topic::ALL.map(|topic| {
                let ident = IdentTopic::new(format!("/althing/{network}/{}/1", topic.name()));
                let hash = ident.hash();
                (topic, ident, hash)
            }),
        }
    }

    pub(in crate::mesh) fn hash(&self, topic: Topic) -> TopicHash {
        let at = self.topics.iter().find(|(known, ..)| *known == topic);
        at.map(|(.., hash)| hash.clone()).expect("the table is built from every topic")
    }

    pub(in crate::mesh) fn topic(&self, hash: &TopicHash) -> Option<Topic> {
        self.topics.iter().find(|(.., known)| known == hash).map(|(topic, ..)| *topic)
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = &TopicHash> {
        self.topics.iter().map(|(.., hash)| hash)
    }

    pub(super) fn idents(&self) -> impl Iterator<Item = &IdentTopic> {
        self.topics.iter().map(|(_, ident, _)| ident)
    }
}

impl DataTransform for Topics {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<Message> {
        if self.topic(&raw.topic).is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the topic is not of this network"));
        }
        let RawMessage { source, data, sequence_number, topic, .. } = raw;
        Ok(Message { source, data, sequence_number, topic })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(topic: TopicHash) -> RawMessage {
        RawMessage {
            source: None,
            data: b"x".to_vec(),
            sequence_number: None,
            topic,
            signature: None,
            key: None,
            validated: false,
        }
    }

    #[test]
    fn topics_of_two_networks_never_meet() {
        let (one, two) = (Topics::of("01"), Topics::of("02"));
        for topic in Topic::ALL {
            assert_eq!(one.topic(&one.hash(topic)), Some(topic));
            assert_eq!(two.topic(&one.hash(topic)), None);
        }
    }

    #[test]
    fn a_message_on_a_topic_of_nobody_is_dropped() {
        let topics = Topics::of("01");
        for topic in Topic::ALL {
            assert_eq!(topics.inbound_transform(raw(topics.hash(topic))).unwrap().data, b"x");
        }
        assert!(topics.inbound_transform(raw(TopicHash::from_raw("foreign"))).is_err());
    }
}
