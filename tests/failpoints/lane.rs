//! Owns one victim: starts it armed with the next point, makes happen what the point waits for, and sees it die there.

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::ExitStatusExt as _,
    thread,
    time::{Duration, Instant},
};

use althing_chaos::{
    failpoint::{Point, Reached, VARIABLE},
    process::{client::NodeClient, mesh::Node},
};
use nix::sys::signal::Signal;

use super::figures::Kill;

/// Longest time until a node that is started armed is dead. Two lives of proposals that change something have to come by, and
/// while other nodes are killed some are rolled back before they come here.
const DEAD_WITHIN: Duration = Duration::from_mins(3);
/// Blocks by which a node is behind: more than consensus makes up for by itself.
const BEHIND: u64 = 20;
/// Pause before a node is asked again for its bundle.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// A node and the points at which it dies, in this order.
pub(crate) struct Lane<'a> {
    pub(crate) node: &'a mut Node,
    /// A node that nobody kills.
    pub(crate) other: NodeClient,
    pub(crate) points: Vec<&'static Point>,
}

impl Lane<'_> {
    /// Plays every point; one that does not kill is told, and the next one is played. The node runs at the end.
    pub(crate) fn play(mut self) -> Vec<Kill> {
        let points = std::mem::take(&mut self.points);
        let kills = points.into_iter().map(|point| self.kill_at(point)).collect();
        // One that is still armed would die later.
        self.node.kill().expect("it can be killed");
        self.node.launch_mut().environment.remove(OsStr::new(VARIABLE));
        self.node.start().expect("it comes back");
        kills
    }

    fn kill_at(&mut self, point: &'static Point) -> Kill {
        let begun = Instant::now();
        let outcome = self.die_at(point).map_err(|error| error.to_string());
        let failure = outcome.err();
        println!(
            "{:>6} ms  {}{}",
            begun.elapsed().as_millis(),
            point.name,
            if failure.is_some() { "  FAILED" } else { "" }
        );
        Kill { point, took: begun.elapsed(), failure }
    }

    /// What a node does when it starts is up to the moment of the kill before: where that passes the point by, it is
    /// started again.
    fn die_at(&mut self, point: &'static Point) -> Result<(), Box<dyn std::error::Error>> {
        let starts = match point.reached {
            Reached::Start | Reached::Doubt | Reached::Behind => 6,
            _ => 1,
        };
        for _ in 1..starts {
            if self.die_once(point, DEAD_WITHIN / starts).is_ok() {
                return Ok(());
            }
        }
        self.die_once(point, DEAD_WITHIN / starts)
    }

    fn die_once(
        &mut self,
        point: &'static Point,
        within: Duration,
    ) -> Result<(), Box<dyn std::error::Error>> {
        self.node.kill()?;
        self.prepare(point)?;
        self.node.launch_mut().environment.insert(VARIABLE.into(), point.arming().into());
        match point.reached {
            Reached::End => {
                self.node.start()?;
                self.node.process().ok_or("it does not run")?.terminate()?;
            }
            Reached::Export => {
                self.node.start()?;
                self.ask_for_bundle();
            }
            _ => self.node.spawn()?,
        }
        let status = self.node.wait_for_end(within)?;
        match status.signal() {
            Some(signal) if signal == Signal::SIGKILL as i32 => Ok(()),
            _ => Err(format!("it ended with {status}").into()),
        }
    }

    /// What happens before the node starts.
    fn prepare(&self, point: &Point) -> Result<(), Box<dyn std::error::Error>> {
        let data = self.node.folder().join("data");
        match point.reached {
            Reached::Behind => self.other.wait_for_height(self.other.head()?.height + BEHIND)?,
            Reached::Doubt => fs::write(data.join("index.doubt"), "a test doubts it")?,
            // Everything but the record of how its keys were used, which nobody can give back.
            Reached::CatchUp => {
                for part in ["log", "index", "snapshot", "auditor"] {
                    fs::remove_dir_all(data.join(part))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Until it does not answer any more.
    fn ask_for_bundle(&self) {
        let client = self.node.client();
        let ask = || client.connect().ok()?.request("GET", "/v1/audit/export", &[], &[]).ok();
        while ask().is_some() {
            thread::park_timeout(ASK_EVERY);
        }
    }
}
