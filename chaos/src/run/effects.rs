//! Owns what the providers themselves say they did: the effect log of every site, read when no daemon runs any more.

use std::path::{Path, PathBuf};

use althing_actors::{
    executor::local::effects::{EFFECT_LOG, EffectRecord, Progress},
    journal::Journal,
};
use althing_contracts::document::Action;

use super::ground::GroundError;

/// One entry of a site's log.
#[derive(Debug, Clone)]
pub struct Effect {
    /// The site.
    pub site: String,
    /// The order's key: `PROPOSAL/STEP/do` or `PROPOSAL/STEP/undo`.
    pub key: String,
    /// The fence that it came with.
    pub fence: u64,
    /// What was done.
    pub action: Action,
    /// By the node's clock, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Whether the target was touched, is as ordered, or is as before.
    pub progress: Progress,
}

impl Effect {
    /// The proposal in its key.
    #[must_use]
    pub fn proposal(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }
}

/// Reads the logs of these sites; a site where nothing was ordered has none.
///
/// # Errors
/// A log cannot be read, or its chain is broken.
pub fn read(sites: &[PathBuf]) -> Result<Vec<Effect>, GroundError> {
    let mut effects = Vec::new();
    for site in sites.iter().filter(|site| site.join("effects.log").exists()) {
        let name = site.file_name().unwrap_or_default().to_string_lossy().into_owned();
        read_one(&site.join("effects.log"), &name, &mut effects)?;
    }
    Ok(effects)
}

fn read_one(path: &Path, site: &str, effects: &mut Vec<Effect>) -> Result<(), GroundError> {
    let take = |record: EffectRecord| {
        let EffectRecord::V1 { time, idempotency_key, fence, action, progress } = record;
        effects.push(Effect {
            site: site.to_owned(),
            key: idempotency_key,
            fence: fence.get(),
            action,
            time_ms: time.get(),
            progress,
        });
    };
    Journal::<EffectRecord>::open(path, EFFECT_LOG, take)?;
    Ok(())
}
