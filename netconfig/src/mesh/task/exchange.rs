//! Owns what passes through the swarm's task between peers and node: gossip with its verdicts, requests with
//! their answers. What the node has no room for is ignored or declined, and counted.

use std::{collections::hash_map::Entry, sync::Arc};

use bytes::Bytes;
use futures::FutureExt;
use libp2p::{
    PeerId,
    gossipsub::{self, MessageAcceptance, MessageId, TopicHash},
    request_response::{self, OutboundFailure, OutboundRequestId, ResponseChannel},
};
use metrics::counter;
use tokio::{sync::oneshot, time};
use tracing::{debug, warn};

use super::{Answered, Judged, Share, Task};
use crate::{
    failpoint, identity,
    mesh::{
        event::{Delivery, MeshEvent, RequestError, Verdict},
        gossip::{
            UNREAD_BYTES_OF_NEIGHBOUR_MAX, VERDICT_WAIT_MAX, VERDICTS_OF_NEIGHBOUR_MAX, VERDICTS_PENDING_MAX,
        },
        metrics as names,
        request::{ANSWERS_OF_PEER_MAX, ANSWERS_PENDING_MAX, REQUEST_TIMEOUT, RESPONSE_LEN_MAX, Response},
    },
};

impl Task {
    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source, message_id, message } = event else { return };
        let len = message.data.len();
        let heard = self.hear(propagation_source, &message.topic, message.data.into());
        let Some(verdict) = heard else {
            counter!(names::GOSSIP_VERDICTS_TOTAL, "verdict" => "node_busy").increment(1);
            self.report(&message_id, &propagation_source, MessageAcceptance::Ignore);
            return;
        };
        let judged = async move {
            let verdict = time::timeout(VERDICT_WAIT_MAX, verdict).await;
            let verdict = verdict.ok().map(|verdict| verdict.unwrap_or(Verdict::Ignore));
            (message_id, propagation_source, len, verdict)
        };
        self.pending.verdicts.push(judged.boxed());
    }

    /// Hands a gossiped message to the node, if it has room.
    fn hear(
        &mut self,
        source: PeerId,
        topic: &TopicHash,
        message: Bytes,
    ) -> Option<oneshot::Receiver<Verdict>> {
        let from = identity::node_id(&source)?;
        let topic = self.topics.topic(topic)?;
        if self.pending.verdicts.len() >= VERDICTS_PENDING_MAX || !self.has_share(&source, message.len()) {
            return None;
        }
        let len = message.len();
        let permits = u32::try_from(len).ok()?;
        let room = Arc::clone(&self.pending.gossip_room).try_acquire_many_owned(permits).ok()?;
        failpoint::reach("mesh.gossip.heard");
        let (verdict, judged) = oneshot::channel();
        let event = MeshEvent::Gossip { from, topic, message, verdict };
        self.events.gossip.try_send(Delivery::with_room(event, room)).ok()?;
        let share = self.pending.shares.entry(source).or_default();
        share.verdicts += 1;
        share.gossip_bytes += len;
        Some(judged)
    }

    fn has_share(&self, source: &PeerId, len: usize) -> bool {
        self.pending.shares.get(source).is_none_or(|share| {
            share.verdicts < VERDICTS_OF_NEIGHBOUR_MAX
                && share.gossip_bytes + len <= UNREAD_BYTES_OF_NEIGHBOUR_MAX
        })
    }

    /// Something of a peer no longer waits; one of which nothing does is forgotten.
    fn give_back(&mut self, peer: PeerId, what: impl FnOnce(&mut Share)) {
        if let Entry::Occupied(mut share) = self.pending.shares.entry(peer) {
            what(share.get_mut());
            if *share.get() == Share::default() {
                share.remove();
            }
        }
    }

    pub(super) fn on_verdict(&mut self, (message, source, len, verdict): Judged) {
        self.give_back(source, |share| {
            share.verdicts -= 1;
            share.gossip_bytes -= len;
        });
        let (name, acceptance) = match verdict {
            Some(Verdict::Accept) => ("accept", MessageAcceptance::Accept),
            Some(Verdict::Ignore) => ("ignore", MessageAcceptance::Ignore),
            Some(Verdict::Reject) => ("reject", MessageAcceptance::Reject),
            None => ("late", MessageAcceptance::Ignore),
        };
        counter!(names::GOSSIP_VERDICTS_TOTAL, "verdict" => name).increment(1);
        self.report(&message, &source, acceptance);
    }

    fn report(&mut self, message: &MessageId, source: &PeerId, acceptance: MessageAcceptance) {
        let known =
            self.swarm.behaviour_mut().gossip.report_message_validation_result(message, source, acceptance);
        if !known {
            debug!(%message, "verdict for a message that gossipsub has forgotten");
        }
    }

    pub(super) fn on_request_event(&mut self, event: request_response::Event<Bytes, Response>) {
        use request_response::{Event, Message};
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                self.on_request(peer, request, channel);
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                let answer = match response {
                    Response::Answer(bytes) => Ok(bytes),
                    Response::Declined => {
                        Err(RequestError::Refused("it has no answer to this request".into()))
                    }
                };
                self.complete(request_id, answer);
            }
            Event::OutboundFailure { request_id, error, .. } => {
                let error = match error {
                    OutboundFailure::DialFailure => RequestError::NotConnected,
                    OutboundFailure::Timeout | OutboundFailure::ConnectionClosed => RequestError::Timeout,
                    OutboundFailure::UnsupportedProtocols => {
                        RequestError::Refused("it does not speak the request protocol of this network".into())
                    }
                    OutboundFailure::Io(error) => RequestError::Refused(error.to_string()),
                };
                self.complete(request_id, Err(error));
            }
            Event::InboundFailure { peer, error, .. } => debug!(%peer, %error, "request of a peer failed"),
            Event::ResponseSent { .. } => {}
        }
    }

    fn complete(&mut self, request: OutboundRequestId, answer: Result<Bytes, RequestError>) {
        failpoint::reach("mesh.answered");
        if let Err(error) = &answer {
            let reason = match error {
                RequestError::NotConnected => "not_connected",
                RequestError::Timeout => "timeout",
                RequestError::Refused(_) => "refused",
            };
            names::count(names::REQUESTS_FAILED_TOTAL, reason);
        }
        if let Some(reply) = self.pending.requests.remove(&request) {
            let _gone = reply.send(answer);
        }
    }

    fn on_request(&mut self, peer: PeerId, request: Bytes, channel: ResponseChannel<Response>) {
        let (reply, answer) = oneshot::channel();
        let of_peer = self.pending.shares.get(&peer).map_or(0, |share| share.answers);
        let room = self.pending.answers.len() < ANSWERS_PENDING_MAX && of_peer < ANSWERS_OF_PEER_MAX;
        let taken = room
            && identity::node_id(&peer).is_some_and(|from| {
                self.events.exchange.try_send(MeshEvent::Request { from, request, reply }.into()).is_ok()
            });
        if !taken {
            names::count(names::REQUESTS_REFUSED_TOTAL, "node_busy");
            self.respond(channel, Response::Declined);
            return;
        }
        self.pending.shares.entry(peer).or_default().answers += 1;
        let answered = async move {
            let answer = time::timeout(REQUEST_TIMEOUT, answer).await;
            if answer.is_err() {
                names::count(names::REQUESTS_REFUSED_TOTAL, "late");
            }
            (channel, peer, answer.ok().and_then(Result::ok))
        };
        self.pending.answers.push(answered.boxed());
    }

    pub(super) fn on_answer(&mut self, (channel, peer, answer): Answered) {
        self.give_back(peer, |share| share.answers -= 1);
        let response = match answer {
            Some(bytes) if bytes.len() <= RESPONSE_LEN_MAX => Response::Answer(bytes),
            Some(bytes) => {
                names::count(names::REQUESTS_REFUSED_TOTAL, "oversized");
                warn!(len = bytes.len(), max = RESPONSE_LEN_MAX, "answer of the node is too long");
                Response::Declined
            }
            None => {
                names::count(names::REQUESTS_REFUSED_TOTAL, "declined");
                Response::Declined
            }
        };
        self.respond(channel, response);
    }

    fn respond(&mut self, channel: ResponseChannel<Response>, response: Response) {
        failpoint::reach("mesh.answer");
        if self.swarm.behaviour_mut().request.send_response(channel, response).is_err() {
            debug!("the asking peer is gone");
        }
    }
}
