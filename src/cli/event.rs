//! Owns following the events of the ledger: without gap or repeat, also over a broken connection.

use std::{fmt::Write as _, time::Duration};

use althing_contracts::{digest::Digest, quantity::Height};
use clap::Subcommand;

use super::{
    client::{Client, with_query},
    duration::Timeout,
    failure::{Exit, Failure, Outcome},
    output::Format,
    render::short,
    session::Session,
};
use crate::api::view::event::CloudEvent;

/// Longest event that is taken: more than the largest list of findings.
const EVENT_LEN_MAX: usize = 1024 * 1024;
/// Pause before a broken stream is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// Longest time to open the stream.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Prints events as they become final, until interrupted or --timeout: 6 when fewer than --count came by then
    #[command(before_help = "Examples:\n  althing event tail\n  \
                             althing event tail --after 0 --type voted --type stage-changed -o ndjson\n  \
                             althing event tail --after 0 --count 20 --timeout 5s\n")]
    Tail {
        /// Number of the last event that you have; 0 for all; without it only new ones
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
        /// Only events of this name; repeat for more
        #[arg(long = "type", value_name = "NAME")]
        types: Vec<String>,
        /// Ends after this many events
        #[arg(long, value_name = "NUMBER")]
        count: Option<usize>,
    },
}

/// Carries a command out.
pub(super) async fn run(command: EventCommand, session: &Session) -> Outcome {
    let EventCommand::Tail { after, types, count } = command;
    let mut tail = Tail { last: after.map(|after| after.to_string()), types, count, printed: 0 };
    let Some(timeout) = session.global.timeout else { return tail.run(session).await };
    match tokio::time::timeout(timeout.0, tail.run(session)).await {
        Ok(ended) => ended,
        Err(_) => tail.out_of_time(timeout, session),
    }
}

struct Tail {
    /// Id of the last event printed.
    last: Option<String>,
    types: Vec<String>,
    /// How many are wanted.
    count: Option<usize>,
    printed: usize,
}

impl Tail {
    async fn run(&mut self, session: &Session) -> Outcome {
        while self.count.is_none_or(|count| self.printed < count) {
            if self.follow(&session.client_within(OPEN_MAX)?, session).await? {
                break;
            }
            session.say("the stream ended; opening it again");
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
        Ok(())
    }

    /// The end of a tail whose time is up: well, unless it was to bring a number of events.
    fn out_of_time(&self, timeout: Timeout, session: &Session) -> Outcome {
        let Some(count) = self.count else {
            session.say(&format!("the time is up after {} events", self.printed));
            return Ok(());
        };
        let detail = format!("{} of {count} events came within {timeout}", self.printed);
        let help = "give more with --timeout, or take events of the past with --after 0";
        Err(Failure::with_help(Exit::Timeout, detail, help))
    }

    /// Prints events of one connection; `true` when as many as asked for were printed.
    async fn follow(&mut self, client: &Client, session: &Session) -> Outcome<bool> {
        let mut query: Vec<(&str, String)> = Vec::new();
        if !self.types.is_empty() {
            query.push(("types", self.types.join(",")));
        }
        query.extend(self.last.clone().map(|last| ("after", last)));
        let mut response = client.open(&with_query("/v1/events", &query), &[]).await?;
        let mut buffer = Vec::new();
        // A connection that breaks is opened again after the last event.
        while let Ok(Some(chunk)) = response.chunk().await {
            buffer.extend_from_slice(&chunk);
            if buffer.len() > EVENT_LEN_MAX {
                return Err(Failure::new(
                    Exit::EndedBadly,
                    format!("an event is above {EVENT_LEN_MAX} bytes"),
                ));
            }
            while let Some(message) = take_message(&mut buffer) {
                if self.take(&message, client, session)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn take(&mut self, message: &[u8], client: &Client, session: &Session) -> Outcome<bool> {
        let Some(event) = event_of(message) else { return Ok(false) };
        // Before it is printed, so that whoever reads the line can ask another node about it.
        if let Some((network, height)) = block_of(&event) {
            client.heights().note(network, height);
        }
        session.write(&line(&event, session.global.output))?;
        self.last = Some(event.id);
        self.printed += 1;
        Ok(self.count == Some(self.printed))
    }
}

/// Takes the first whole message off the buffer: the bytes before an empty line.
fn take_message(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
    let rest = buffer.split_off(end + 2);
    Some(std::mem::replace(buffer, rest))
}

/// The event of a message; `None` for a comment.
fn event_of(message: &[u8]) -> Option<CloudEvent> {
    let text = std::str::from_utf8(message).ok()?;
    let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
    serde_json::from_str(data).ok()
}

/// The network and height of the block that caused an event.
fn block_of(event: &CloudEvent) -> Option<(Digest, Height)> {
    let network = event.source.strip_prefix("/althing/")?.parse().ok()?;
    Some((network, Height::new(event.data.get("height")?.as_u64()?)))
}

fn line(event: &CloudEvent, format: Format) -> String {
    match format {
        Format::Json | Format::Ndjson => {
            format!("{}\n", serde_json::to_string(event).expect("events have only string keys"))
        }
        Format::Name => format!("{}\n", event.id),
        Format::Table => {
            let subject = event.subject.as_deref().map_or_else(|| "-".to_owned(), short);
            let mut line = format!("{:>6}  {}  {subject}  {:<16}", event.id, event.time, event.name());
            for (name, value) in event.data.iter().filter(|(name, _)| !is_shown(name)) {
                write!(line, "  {name}={}", plain(value)).expect("writing to a string cannot fail");
            }
            line.trim_end().to_owned() + "\n"
        }
    }
}

fn is_shown(name: &str) -> bool {
    matches!(name, "proposal" | "height" | "time_ms" | "tally")
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) if text.len() == 64 && !text.contains(' ') => short(text),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(object) if object.contains_key("name") => {
            let index = object.get("index").map_or_else(String::new, |index| format!(" {index}"));
            format!("{}{index}", object["name"].as_str().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_whole_and_in_order() {
        let mut buffer = b": keep-alive\n\nid: 1\ndata: {}\n\nid: 2".to_vec();
        assert_eq!(take_message(&mut buffer).as_deref(), Some(&b": keep-alive\n\n"[..]));
        assert_eq!(take_message(&mut buffer).as_deref(), Some(&b"id: 1\ndata: {}\n\n"[..]));
        assert_eq!(take_message(&mut buffer), None);
        assert_eq!(buffer, b"id: 2");
    }

    #[test]
    fn stages_and_digests_are_shown_short() {
        assert_eq!(plain(&serde_json::json!({"name": "rollout", "index": 1})), "rollout 1");
        assert_eq!(plain(&serde_json::json!("a".repeat(64))), "aaaaaaaa");
    }
}
