//! Owns the translation of `[executor.targets]` into what the provider `local` may do.

use std::collections::BTreeMap;

use althing_actors::executor::local::{CommandTemplate, LocalTarget};
use althing_contracts::name::TargetId;
use althing_netconfig::config::{CommandSection, TargetSection};

/// The targets of a node.
pub(super) fn local(sections: &BTreeMap<TargetId, TargetSection>) -> BTreeMap<TargetId, LocalTarget> {
    sections.iter().map(|(id, section)| (id.clone(), target(section))).collect()
}

fn target(section: &TargetSection) -> LocalTarget {
    let command = |command: &CommandSection| CommandTemplate {
        program: command.program.clone(),
        args: command.args.clone(),
    };
    LocalTarget {
        root: section.root.clone(),
        artefacts: section.artefacts.clone(),
        commands: section.commands.iter().map(|(name, section)| (name.clone(), command(section))).collect(),
        files: section.files.clone(),
        instances_max: section.instances_max,
        log_len_max: section.log_len_max,
        ready_within_ms: section.ready_within_ms,
        stop_within_ms: section.stop_within_ms,
    }
}
