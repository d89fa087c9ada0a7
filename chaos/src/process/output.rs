//! Owns what a child process printed: the last lines, and waiting for one.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader, Read, Write as _},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Most lines kept of one process: enough for a story, bounded for a loop that runs for hours.
const LINES_KEPT_MAX: usize = 20_000;
/// Lines shown in an error.
pub(super) const LINES_SHOWN: usize = 40;

/// The lines of one process, of both its outputs, in the order in which they were read.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Where every line is written, too.
    copy: Option<Mutex<File>>,
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    dropped: usize,
    open: usize,
}

impl Output {
    /// Lines that are written to a file as well, which keeps all of them.
    pub(super) fn copied_to(file: File) -> Self {
        Self { copy: Some(Mutex::new(file)), ..Self::default() }
    }

    /// Waits for a line that contains `text`. `None` when the time is over or both outputs are closed.
    pub(super) fn wait_for(&self, text: &str, within: Duration) -> Option<String> {
        let mut seen = 0;
        let mut found = None;
        let search = |lines: &mut Lines| {
            let from = seen.max(lines.dropped) - lines.dropped;
            found = lines.kept.iter().skip(from).find(|line| line.contains(text)).cloned();
            seen = lines.dropped + lines.kept.len();
            found.is_none() && lines.open > 0
        };
        drop(self.changed.wait_timeout_while(self.lock(), within, search));
        found
    }

    /// The last lines.
    pub(super) fn tail(&self, lines_max: usize) -> String {
        let lines = self.lock();
        let from = lines.kept.len().saturating_sub(lines_max);
        lines.kept.range(from..).cloned().collect::<Vec<_>>().join("\n")
    }

    fn push(&self, line: String) {
        if let Some(copy) = &self.copy {
            let mut copy = copy.lock().unwrap_or_else(PoisonError::into_inner);
            // The lines are for people who look into a failure; a full disk must not be another one.
            let _written = writeln!(copy, "{line}");
        }
        let mut lines = self.lock();
        if lines.kept.len() == LINES_KEPT_MAX {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(line);
        drop(lines);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads lines from `stream` until it closes.
pub(super) fn collect(stream: impl Read + Send + 'static, output: &Arc<Output>) {
    output.lock().open += 1;
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            output.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
        output.lock().open -= 1;
        output.changed.notify_all();
    });
}
