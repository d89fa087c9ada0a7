//! Owns handing what a run left behind to the checkers that know nothing of daemons: the blocks of a bundle, the providers'
//! logs, the journals of key uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use althing_actors::{
    executor::local::effects::Progress,
    journal::Journal,
    ledger::message::CertifiedBlock,
    signer::journal::{KEY_USE_JOURNAL, KeyUseRecord},
};
use althing_contracts::{
    canonical,
    document::Action,
    genesis::Genesis,
    name::{Name, TargetId},
    quantity::{Fence, Height, TimeMs},
    stage::Stage,
    transaction::ProposalId,
};

use super::{effects::Effect, evidence::Story, ground::GroundError};
use crate::checker::{self, EffectEntry, Ended};

/// Length of a bundle's header, and of the chain after each record; `docs/bundle.md` §2.
const HEADER_LEN: usize = 10;
const CHAIN_LEN: usize = 32;
/// Kinds of records; `docs/bundle.md` §3.
const GENESIS: u8 = 1;
const BLOCK: u8 = 2;

/// What the checkers found, in words.
///
/// # Errors
/// A file cannot be read.
pub fn judge(
    bundle: &Path,
    journals: &[PathBuf],
    effects: &[Effect],
    stories: &BTreeMap<String, Story>,
) -> Result<Vec<String>, GroundError> {
    let (genesis, blocks) = read_bundle(&fs::read(bundle)?)?;
    let mut key_uses = Vec::new();
    for journal in journals.iter().filter(|journal| journal.exists()) {
        Journal::<KeyUseRecord>::open(journal, KEY_USE_JOURNAL, |used| key_uses.push(used))?;
    }
    let findings = checker::judge(&checker::Evidence {
        genesis: &genesis,
        blocks: &blocks,
        final_us: &BTreeMap::new(),
        effects: &entries(effects)?,
        disturbed: &BTreeSet::new(),
        key_uses: Some(&key_uses),
        ended: &ended(stories)?,
        acknowledged: &BTreeSet::new(),
        told: None,
    });
    Ok(findings.iter().map(ToString::to_string).collect())
}

/// The beginning and every block; another process has verified the file before.
fn read_bundle(bytes: &[u8]) -> Result<(Genesis, Vec<CertifiedBlock>), GroundError> {
    let (mut genesis, mut blocks) = (None, Vec::new());
    let mut rest = bytes.get(HEADER_LEN..).ok_or("the bundle has no header")?;
    while let Some((kind, after)) = rest.split_first() {
        let (len, after) = after.split_first_chunk::<4>().ok_or("a record of the bundle has no length")?;
        let len = usize::try_from(u32::from_le_bytes(*len))?;
        let payload = after.get(..len).ok_or("a record of the bundle is cut off")?;
        match *kind {
            GENESIS => genesis = Some(canonical::decode(payload, len)?),
            BLOCK => blocks.push(canonical::decode(payload, len)?),
            _ => {}
        }
        rest = after.get(len + CHAIN_LEN..).ok_or("a record of the bundle is cut off")?;
    }
    Ok((genesis.ok_or("the bundle has no genesis")?, blocks))
}

/// What took effect, at each site in the order of its log; between sites in the order of the fences, which come from the
/// ledger and not from anybody's clock.
fn entries(effects: &[Effect]) -> Result<Vec<EffectEntry>, GroundError> {
    let mut there: BTreeMap<(&str, Name), Action> = BTreeMap::new();
    let mut fences: BTreeMap<&str, u64> = BTreeMap::new();
    let mut entries = Vec::new();
    for effect in effects.iter().filter(|effect| matches!(effect.progress, Progress::Done { .. })) {
        let fence = fences.entry(&effect.site).or_default();
        *fence = (*fence).max(effect.fence);
        let resource = (effect.site.as_str(), effect.action.resource().clone());
        let is_removal = matches!(effect.action, Action::Remove { .. });
        let before =
            if is_removal { there.remove(&resource) } else { there.insert(resource, effect.action.clone()) };
        let changed = if is_removal { before.is_some() } else { before.as_ref() != Some(&effect.action) };
        let entry = EffectEntry {
            at_us: effect.time_ms.saturating_mul(1000),
            target: TargetId::new(&effect.site)?,
            idempotency_key: effect.key.clone(),
            fence: Fence::new(effect.fence),
            action: effect.action.clone(),
            undo: effect.key.ends_with("/undo"),
            changed,
        };
        entries.push((*fence, entry));
    }
    entries.sort_by_key(|(fence, _)| *fence);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// How the ledger says that each vote or execution ended, or that it is being undone.
fn ended(stories: &BTreeMap<String, Story>) -> Result<BTreeMap<ProposalId, Ended>, GroundError> {
    let mut ended = BTreeMap::new();
    for (id, story) in stories {
        let is_end = |(stage, _): &(Stage, Option<TimeMs>)| {
            matches!(
                stage,
                Stage::Defeated
                    | Stage::Executed
                    | Stage::Failed
                    | Stage::RollingBack
                    | Stage::RolledBack
                    | Stage::RollbackFailed
            )
        };
        if let Some((stage, since)) = story.moves().rfind(is_end) {
            // A run proposes no acts, so that nobody asks for the block.
            let end = Ended { stage, height: Height::ZERO, since };
            ended.insert(serde_json::from_value(id.as_str().into())?, end);
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy(version: &str) -> Action {
        let name = |text| Name::new(text).expect("a name");
        let artefact = althing_contracts::digest::Digest::ZERO;
        Action::Deploy { service: name("web"), version: name(version), artefact, instances: 1 }
    }

    fn done(site: &str, fence: u64, action: Action) -> Effect {
        let progress = Progress::Done { facts: BTreeMap::new() };
        Effect { site: site.to_owned(), key: format!("p/{fence}/do"), fence, action, time_ms: 1, progress }
    }

    #[test]
    fn an_order_for_what_is_there_already_changes_nothing() {
        let remove = Action::Remove { resource: Name::new("web").expect("a name") };
        let orders = [deploy("1"), deploy("1"), deploy("2"), remove.clone(), remove];
        let effects: Vec<_> =
            (1..).zip(orders).map(|(fence, action)| done("acme-north", fence, action)).collect();
        let changed: Vec<_> = entries(&effects).expect("names").iter().map(|entry| entry.changed).collect();
        assert_eq!(changed, [true, false, true, true, false]);
    }

    #[test]
    fn a_site_keeps_its_own_order_even_where_fences_go_back() {
        let effects = [done("a", 7, deploy("1")), done("a", 3, deploy("2")), done("b", 5, deploy("1"))];
        let order: Vec<_> = entries(&effects).expect("names").iter().map(|entry| entry.fence.get()).collect();
        assert_eq!(order, [5, 7, 3]);
    }

    #[test]
    fn a_bundle_that_is_cut_off_is_refused() {
        for bytes in [&[][..], &[0; 10], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 9, 0, 0, 0, 1]] {
            assert!(read_bundle(bytes).is_err());
        }
    }
}
