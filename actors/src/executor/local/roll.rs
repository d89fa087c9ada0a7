//! Owns how a target is looked at and changed: what is allowed, what is there, the rolling replacement of
//! instances, and files.

use std::{collections::BTreeMap, fs, io, path::Path};

use althing_contracts::{digest::Digest, document::Action, genesis::TargetRecord, name::Name};

use super::{
    artefact::{self, ArtefactError},
    listen,
    state_file::{Instance, switch},
    worker::{Worker, text},
};
use crate::{disk::sync_parent, failpoint, port::ProviderError};

/// Largest configuration file in bytes.
pub(super) const FILE_LEN_MAX: u64 = 4 * 1024 * 1024;

impl Worker {
    /// Checks the allow list, the bounds and the artefact.
    pub(super) fn check(&self, record: &TargetRecord, action: &Action) -> Result<(), ProviderError> {
        match action {
            Action::Deploy { service, artefact, instances, .. } => {
                self.allowed(self.config.commands.contains_key(service), "service", service)?;
                let max = self.config.instances_max;
                if !(1..=max).contains(instances) {
                    let problem =
                        format!("{instances} instances of {service}; {} allows from 1 to {max}", self.id);
                    return Err(ProviderError::Refused(problem));
                }
                listen::addresses(record, *instances)?;
                self.store.locate(*artefact).map(drop).map_err(|error| refused(&error))
            }
            Action::Configure { file, artefact, .. } => {
                self.allowed(self.config.files.contains_key(file), "file", file)?;
                let path = self.store.locate(*artefact).map_err(|error| refused(&error))?;
                let len = fs::metadata(path).map_or(0, |found| found.len());
                if len > FILE_LEN_MAX {
                    let problem = format!("{file} has {len} bytes, at most {FILE_LEN_MAX} are allowed");
                    return Err(ProviderError::Refused(problem));
                }
                Ok(())
            }
            Action::Remove { resource } => {
                let known =
                    self.config.commands.contains_key(resource) || self.config.files.contains_key(resource);
                self.allowed(known, "service or file", resource)
            }
        }
    }

    fn allowed(&self, known: bool, kind: &str, name: &Name) -> Result<(), ProviderError> {
        if known {
            return Ok(());
        }
        let names = self.config.commands.keys().chain(self.config.files.keys());
        let names: Vec<&str> = names.map(Name::as_str).collect();
        Err(ProviderError::Refused(format!(
            "the {kind} {name} is not on the allow list of {}, which has: {}",
            self.id,
            names.join(", ")
        )))
    }

    /// Brings the artefact of an action into the store, off the thread because it is hashed as a whole.
    pub(super) async fn fetch(&self, action: &Action) -> Result<(), ProviderError> {
        let (Action::Deploy { artefact, .. } | Action::Configure { artefact, .. }) = action else {
            return Ok(());
        };
        let (store, artefact) = (self.store.clone(), *artefact);
        let fetched = tokio::task::spawn_blocking(move || store.fetch(artefact)).await;
        let fetched = fetched.map_err(|error| ProviderError::Retry(error.to_string()))?;
        fetched.map(drop).map_err(|error| refused(&error))
    }

    /// What is on the target itself: recorded, and checked against the stored artefact or the real file.
    pub(super) fn read(&self, resource: &Name) -> Result<Option<Action>, ProviderError> {
        if let Some(changing) = self.state.changing.get(resource) {
            let by = &changing.idempotency_key;
            return Err(ProviderError::Unknown(format!("{resource} is half changed by order {by}")));
        }
        let applied = self.state.applied.get(resource);
        let found = match (applied, self.config.file_path(resource)) {
            (Some(Action::Deploy { artefact, .. }), _) => artefact::hash(&self.store.path(*artefact)),
            (_, Some(path)) => artefact::hash(&path),
            _ => return Ok(None),
        };
        let found = match found {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(ProviderError::Retry(format!("{resource} cannot be read: {error}"))),
        };
        let recorded = match applied {
            Some(Action::Deploy { artefact, .. } | Action::Configure { artefact, .. }) => Some(*artefact),
            _ => None,
        };
        if found == recorded {
            return Ok(applied.cloned());
        }
        let found = found.map_or("nothing".to_owned(), |found| format!("content with the digest {found}"));
        Err(ProviderError::Drift { expected: text(applied), found })
    }

    pub(super) fn describe(
        &self,
        before: Option<&Action>,
        record: &TargetRecord,
        action: &Action,
    ) -> Result<Vec<String>, ProviderError> {
        let mut lines = vec![format!("{}: {} -> {}", self.id, text(before), text(Some(action)))];
        if let Action::Deploy { service, instances, .. } = action {
            let addresses = listen::addresses(record, *instances)?;
            let replace = |(index, listen): (usize, String)| {
                format!("{}: replace instance {index} of {service} on {listen}", self.id)
            };
            lines.extend(addresses.into_iter().enumerate().map(replace));
        }
        Ok(lines)
    }

    /// Replaces the instances one after the other; the next one only when the one before answers.
    pub(super) async fn roll(
        &mut self,
        service: &Name,
        release: &Name,
        artefact: Digest,
        addresses: &[String],
    ) -> Result<(), String> {
        for (index, listen) in (0_u8..).zip(addresses) {
            let wanted =
                Instance { listen: listen.clone(), release: release.clone(), artefact, process: None };
            // One that runs as wanted was started by an earlier try of the same order.
            if !self.runs(service, index, &wanted) {
                self.stop_instance(service, index).await;
                self.start_instance(service, index, wanted).await?;
            }
            self.wait_until_ready(service, index).await?;
            failpoint::reach("local.instance.ready");
        }
        self.stop_surplus(service, addresses.len()).await;
        Ok(())
    }

    /// Takes a service or a file away.
    pub(super) async fn take_away(&mut self, resource: &Name) -> Result<(), String> {
        if let Some(path) = self.config.file_path(resource) {
            return remove_file(&path)
                .map_err(|error| format!("{} cannot be removed: {error}", path.display()));
        }
        self.stop_surplus(resource, 0).await;
        Ok(())
    }

    /// Puts a fetched artefact in a file's place.
    pub(super) fn put_file(&self, file: &Name, artefact: Digest) -> Result<(), String> {
        let path = self.config.file_path(file).ok_or_else(|| format!("{file} is not on the allow list"))?;
        let put = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            switch(&path, &fs::read(self.store.path(artefact))?)
        };
        put().map_err(|error: io::Error| format!("{} cannot be written: {error}", path.display()))
    }

    /// Brings a resource back to what is recorded as applied. An instance that does not start is left to
    /// supervision: what was applied before is what will run.
    pub(super) async fn put_back(&mut self, record: &TargetRecord, resource: &Name) -> Result<(), String> {
        match self.state.applied.get(resource).cloned() {
            Some(Action::Deploy { service, version, artefact, instances }) => {
                let addresses = listen::addresses(record, instances).map_err(|error| error.to_string())?;
                for (index, listen) in (0_u8..).zip(addresses) {
                    let before = Instance { listen, release: version.clone(), artefact, process: None };
                    if !self.runs(&service, index, &before) {
                        self.stop_instance(&service, index).await;
                        if self.start_instance(&service, index, before).await.is_err() {
                            self.supervision.restart_soon((service.clone(), index));
                        }
                    }
                }
                self.stop_surplus(&service, usize::from(instances)).await;
                Ok(())
            }
            Some(Action::Configure { file, artefact, .. }) => self.put_file(&file, artefact),
            Some(Action::Remove { .. }) | None => self.take_away(resource).await,
        }
    }

    /// What shows that an action is in effect.
    pub(super) fn facts(&self, action: &Action) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::from([("applied".to_owned(), text(Some(action)))]);
        if let Action::Deploy { artefact, .. } | Action::Configure { artefact, .. } = action {
            facts.insert("artefact".to_owned(), artefact.to_string());
        }
        for (index, instance) in self.state.instances.get(action.resource()).into_iter().flatten() {
            let pid = instance.process.as_ref().map(|process| process.pid.to_string()).unwrap_or_default();
            facts.insert(format!("instance-{index}"), format!("process {pid} on {}", instance.listen));
        }
        facts
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_parent(path),
    }
}

fn refused(error: &ArtefactError) -> ProviderError {
    match error {
        ArtefactError::Missing { .. } | ArtefactError::Differs { .. } => {
            ProviderError::Refused(error.to_string())
        }
        ArtefactError::Disk { .. } => ProviderError::Retry(error.to_string()),
    }
}
