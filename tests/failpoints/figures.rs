//! Owns what the test has to show: every kill, every promise, and the file that the report of all machines reads.

use std::{fmt, fs, path::Path, time::Duration};

use althing_chaos::{
    failpoint::{POINTS, Point},
    run::verdict::Verdict,
};
use serde_json::json;

/// One kill, or why there was none.
pub(crate) struct Kill {
    pub(crate) point: &'static Point,
    pub(crate) took: Duration,
    pub(crate) failure: Option<String>,
}

/// Everything.
pub(crate) struct Figures {
    pub(crate) kills: Vec<Kill>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) took: Duration,
}

impl Figures {
    /// Whether every point has killed and every promise was kept.
    pub(crate) fn holds(&self) -> bool {
        self.killed() == POINTS.len() && self.verdicts.iter().all(|verdict| verdict.holds)
    }

    fn killed(&self) -> usize {
        self.kills.iter().filter(|kill| kill.failure.is_none()).count()
    }

    /// Writes them to where the other machines write theirs.
    pub(crate) fn write(&self) {
        let kills = self.kills.iter().map(|kill| {
            json!({ "point": kill.point, "took_ms": kill.took.as_millis(), "killed": kill.failure.is_none() })
        });
        let figures = json!({
            "version": 1,
            "points": POINTS.len(),
            "killed": self.killed(),
            "took_ms": self.took.as_millis(),
            "holds": self.holds(),
            "kills": kills.collect::<Vec<_>>(),
            "verdicts": self.verdicts,
        });
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/chaos");
        fs::create_dir_all(&folder).expect("the target directory can be written");
        let text = serde_json::to_string_pretty(&figures).expect("figures have only string keys");
        fs::write(folder.join("failpoints.json"), text + "\n").expect("the figures can be written");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (killed, seconds) = (self.killed(), self.took.as_secs());
        writeln!(f, "{killed} of {} failpoints killed a daemon, in {seconds} s", POINTS.len())?;
        for kill in &self.kills {
            if let Some(failure) = &kill.failure {
                writeln!(f, "{}: {failure}", kill.point.name)?;
            }
        }
        for verdict in &self.verdicts {
            let kept = if verdict.holds { "kept" } else { "BROKEN" };
            writeln!(f, "{:<16} {kept}: {}", verdict.id, verdict.observed)?;
        }
        Ok(())
    }
}
