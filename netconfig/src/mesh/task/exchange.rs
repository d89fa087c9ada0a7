//! Owns what passes through the swarm's task between peers and node: gossip with its verdicts, requests with
//! their answers. What the node has no room for is ignored or declined, and counted.

use std::sync::Arc;

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

use super::{Answered, Judged, Task};
use crate::{
    failpoint, identity,
    mesh::{
        event::{Delivery, MeshEvent, RequestError, Verdict},
        gossip::{VERDICT_WAIT_MAX, VERDICTS_PENDING_MAX},
        metrics as names,
        request::{ANSWERS_PENDING_MAX, REQUEST_TIMEOUT, RESPONSE_LEN_MAX, Response},
    },
};

impl Task {
    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source, message_id, message } = event else { return };
        let heard = self.hear(propagation_source, &message.topic, message.data.into());
        let Some(verdict) = heard else {
            counter!(names::GOSSIP_VERDICTS_TOTAL, "verdict" => "node_busy").increment(1);
            self.report(&message_id, &propagation_source, MessageAcceptance::Ignore);
            return;
        };
        let judged = async move {
            let verdict = time::timeout(VERDICT_WAIT_MAX, verdict).await;
            let verdict = verdict.ok().map(|verdict| verdict.unwrap_or(Verdict::Ignore));
            (message_id, propagation_source, verdict)
        };
        self.pending.verdicts.push(judged.boxed());
    }

    /// Hands a gossiped message to the node, if it has room.
    fn hear(&self, source: PeerId, topic: &TopicHash, message: Bytes) -> Option<oneshot::Receiver<Verdict>> {
        let from = identity::node_id(&source)?;
        let topic = self.topics.topic(topic)?;
        if self.pending.verdicts.len() >= VERDICTS_PENDING_MAX {
            return None;
        }
        let len = u32::try_from(message.len()).ok()?;
        let room = Arc::clone(&self.pending.gossip_room).try_acquire_many_owned(len).ok()?;
        failpoint::reach("mesh.gossip.heard");
        let (verdict, judged) = oneshot::channel();
        let event = MeshEvent::Gossip { from, topic, message, verdict };
        self.events.try_send(Delivery::with_room(event, room)).ok()?;
        Some(judged)
    }

    pub(super) fn on_verdict(&mut self, (message, source, verdict): Judged) {
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
        let room = self.pending.answers.len() < ANSWERS_PENDING_MAX;
        let taken = room
            && identity::node_id(&peer).is_some_and(|from| {
                self.events.try_send(MeshEvent::Request { from, request, reply }.into()).is_ok()
            });
        if !taken {
            names::count(names::REQUESTS_REFUSED_TOTAL, "node_busy");
            self.respond(channel, Response::Declined);
            return;
        }
        let answered = async move {
            let answer = time::timeout(REQUEST_TIMEOUT, answer).await;
            if answer.is_err() {
                names::count(names::REQUESTS_REFUSED_TOTAL, "late");
            }
            (channel, answer.ok().and_then(Result::ok))
        };
        self.pending.answers.push(answered.boxed());
    }

    pub(super) fn on_answer(&mut self, (channel, answer): Answered) {
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
