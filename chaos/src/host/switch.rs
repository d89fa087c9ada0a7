//! Owns a switch in user space between the TAP devices of nodes: every frame passes through here, and the state of its
//! link says what becomes of it. Frames that nobody is named on are dropped.

mod frame;
mod link;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt,
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use serde::Serialize;
use tappers::Tap;

pub use link::{Fate, Link};

/// Longest frame: the devices' unit and a header, with room for a tag.
const FRAME_LEN_MAX: usize = 1600;
/// Most frames on the way at once; a slow link drops what comes above, as a full router does.
const FRAMES_WAITING_MAX: usize = 20_000;
/// Longest time that a frame waits for the rate of its link; what would wait longer is dropped.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// A running switch. Dropping it ends it, and its devices with it.
pub struct Switch {
    shared: Arc<Shared>,
    stop: UnixStream,
    threads: Vec<thread::JoinHandle<()>>,
}

/// What the switch did with frames so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Passed on.
    pub passed: u64,
    /// Dropped on a link that was cut.
    pub cut: u64,
    /// Dropped by chance, or because a slow link was full.
    pub lost: u64,
    /// Passed on twice.
    pub duplicated: u64,
    /// Passed on with wrong contents.
    pub corrupted: u64,
    /// Held on the way.
    pub delayed: u64,
}

struct Shared {
    taps: Vec<Tap>,
    seed: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// By sender, then receiver.
    ways: Vec<Vec<Way>>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    arrivals: u64,
    counts: Counts,
    stopping: bool,
}

#[derive(Debug, Clone, Default)]
struct Way {
    link: Link,
    frames: u64,
    /// When the link has sent what it took.
    free_at: Option<Instant>,
}

/// A frame on its way, in the order of its arrival.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    at: Instant,
    number: u64,
    to: usize,
    frame: Vec<u8>,
}

impl Switch {
    /// Connects these devices; all links are sound.
    ///
    /// # Errors
    /// The system has no threads or descriptors left.
    pub fn start(taps: Vec<Tap>, seed: u64) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let state = State {
            ways: vec![vec![Way::default(); taps.len()]; taps.len()],
            waiting: BinaryHeap::new(),
            arrivals: 0,
            counts: Counts::default(),
            stopping: false,
        };
        let shared = Arc::new(Shared { taps, seed, state: Mutex::new(state), changed: Condvar::new() });
        let (receiving, sending) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread::Builder::new().name("switch-in".to_owned()).spawn(move || receiving.receive(&stopped))?,
            thread::Builder::new().name("switch-out".to_owned()).spawn(move || sending.deliver())?,
        ];
        Ok(Self { shared, stop, threads })
    }

    /// Changes the way from one node to another; the way back stays as it is.
    pub fn set(&self, from: usize, to: usize, link: Link) {
        let mut state = self.shared.lock();
        if let Some(way) = state.ways.get_mut(from).and_then(|ways| ways.get_mut(to)) {
            way.link = link;
            way.free_at = None;
        }
    }

    /// Makes every link sound.
    pub fn heal(&self) {
        let mut state = self.shared.lock();
        for way in state.ways.iter_mut().flatten() {
            way.link = Link::default();
            way.free_at = None;
        }
    }

    /// What became of the frames so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Switch({:?})", self.counts())
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        // A receiver that has ended does not listen any more.
        let _told = self.stop.write_all(b".");
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads frames from all devices until it is told to stop.
    fn receive(&self, stopped: &UnixStream) {
        let mut frame = [0; FRAME_LEN_MAX];
        loop {
            let mut sources: Vec<_> =
                self.taps.iter().map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN)).collect();
            sources.push(PollFd::new(stopped.as_fd(), PollFlags::POLLIN));
            match poll(&mut sources, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            if self.lock().stopping {
                return;
            }
            for (from, tap) in self.taps.iter().enumerate() {
                while let Ok(len @ 1..) = tap.recv(&mut frame) {
                    self.take(from, frame.get(..len).unwrap_or_default());
                }
            }
        }
    }

    /// Decides on one frame: it is sent at once, put to wait, or dropped.
    fn take(&self, from: usize, frame: &[u8]) {
        let Some(to) = frame::destination(frame).filter(|to| *to != from && *to < self.taps.len()) else {
            return;
        };
        let now = Instant::now();
        let mut state = self.lock();
        let Some((at, twice, corrupt)) = state.decide(self.seed, from, to, frame.len(), now) else { return };
        let mut frame = frame.to_vec();
        if let Some(place) = corrupt
            && frame::corrupt(&mut frame, place)
        {
            state.counts.corrupted += 1;
        }
        state.counts.passed += 1;
        state.counts.duplicated += u64::from(twice);
        state.counts.delayed += u64::from(at > now);
        for _ in 0..=usize::from(twice) {
            if at > now {
                state.arrivals += 1;
                let waiting = Waiting { at, number: state.arrivals, to, frame: frame.clone() };
                state.waiting.push(Reverse(waiting));
                self.changed.notify_all();
            } else {
                self.send(to, &frame);
            }
        }
    }

    /// Sends frames when their time has come, until it is told to stop.
    fn deliver(&self) {
        let mut state = self.lock();
        while !state.stopping {
            let now = Instant::now();
            match state.waiting.peek().map(|Reverse(next)| next.at) {
                Some(at) if at <= now => {
                    if let Some(Reverse(next)) = state.waiting.pop() {
                        self.send(next.to, &next.frame);
                    }
                }
                Some(at) => {
                    let waited = self.changed.wait_timeout(state, at - now);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// A device that takes nothing at the moment loses the frame, as a wire does.
    fn send(&self, to: usize, frame: &[u8]) {
        if let Some(tap) = self.taps.get(to) {
            let _taken = tap.send(frame);
        }
    }
}

impl State {
    /// When a frame arrives, whether twice, and where it is changed; `None` when it is dropped.
    fn decide(
        &mut self,
        seed: u64,
        from: usize,
        to: usize,
        len: usize,
        now: Instant,
    ) -> Option<(Instant, bool, Option<u32>)> {
        let Self { ways, waiting, counts, .. } = self;
        let way = &mut ways[from][to];
        let number = way.frames;
        way.frames += 1;
        let Fate::Arrives { after, twice, corrupt } = way.link.fate(seed, from, to, number) else {
            counts.cut += u64::from(way.link.cut);
            counts.lost += u64::from(!way.link.cut);
            return None;
        };
        let sent_at = way.send(len, now);
        if waiting.len() >= FRAMES_WAITING_MAX || sent_at.duration_since(now) > WAIT_MAX {
            counts.lost += 1;
            return None;
        }
        way.free_at = Some(sent_at);
        Some((sent_at + after, twice, corrupt))
    }
}

impl Way {
    /// When a frame that comes now has left, at the link's rate.
    fn send(&self, len: usize, now: Instant) -> Instant {
        let begins = self.free_at.map_or(now, |free_at| free_at.max(now));
        let nanoseconds = (len as u64 * 1_000_000_000).checked_div(u64::from(self.link.rate_bytes));
        begins + Duration::from_nanos(nanoseconds.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let ways = vec![vec![Way::default(); 2]; 2];
        State { ways, waiting: BinaryHeap::new(), arrivals: 0, counts: Counts::default(), stopping: false }
    }

    #[test]
    fn a_cut_is_one_way() {
        let (mut state, now) = (state(), Instant::now());
        state.ways[0][1].link = Link::CUT;
        assert_eq!(state.decide(7, 0, 1, 100, now), None);
        assert_eq!(state.decide(7, 1, 0, 100, now), Some((now, false, None)));
        assert_eq!((state.counts.cut, state.counts.lost), (1, 0));
    }

    #[test]
    fn a_rate_makes_frames_wait_in_line_and_drops_what_would_wait_too_long() {
        let (mut state, now) = (state(), Instant::now());
        state.ways[0][1].link = Link { rate_bytes: 10_000, ..Link::default() };
        let waits: Vec<_> = (0..7)
            .map(|_| state.decide(7, 0, 1, 1000, now).map(|(at, ..)| at.duration_since(now).as_millis()))
            .collect();
        assert_eq!(waits, [Some(100), Some(200), Some(300), Some(400), Some(500), None, None]);
        assert_eq!(state.counts.lost, 2);
    }
}
