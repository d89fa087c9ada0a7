//! Owns starting and ending one instance so that a crash between any two steps leaves nothing unknown: the decision
//! is durable before the process starts, and a process that was started but not recorded is found by its tag.

use std::{
    fs::{self, File, OpenOptions},
    io,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use althing_contracts::name::Name;
use tokio::{net::TcpStream, time::Instant};

use super::{config::Values, process::Process, state_file::Instance, supervise::End, worker::Worker};
use crate::failpoint;

/// Environment variable that names an instance; how a process is found that was started but not recorded.
pub(super) const TAG: &str = "ALTHING_INSTANCE";
/// Pause between two attempts to connect to an instance that is starting.
const CONNECT_EVERY: Duration = Duration::from_millis(10);
/// A file that was just written can be held open for writing by a child that another thread is starting; that
/// child closes it when it starts, in well under this many pauses.
const BUSY_TRIES_MAX: usize = 50;
/// Bytes of an instance's log that are shown when it fails.
const LOG_SHOWN_LEN: usize = 120;

impl Worker {
    /// Whether an instance is as wanted and its process runs.
    pub(super) fn runs(&self, service: &Name, index: u8, wanted: &Instance) -> bool {
        let recorded = self.state.instances.get(service).and_then(|instances| instances.get(&index));
        self.supervision.is_running(service, index)
            && recorded.is_some_and(|recorded| {
                recorded.listen == wanted.listen
                    && recorded.artefact == wanted.artefact
                    && recorded.release == wanted.release
            })
    }

    /// Starts an instance: decision, process, record.
    pub(super) async fn start_instance(
        &mut self,
        service: &Name,
        index: u8,
        instance: Instance,
    ) -> Result<(), String> {
        let mut command = self.command(service, index, &instance)?;
        let listen = instance.listen.clone();
        self.state.instances.entry(service.clone()).or_default().insert(index, instance);
        self.save().map_err(|error| error.to_string())?;
        if let Err(error) = TcpListener::bind(&listen) {
            return Err(format!("instance {index} of {service} cannot listen on {listen}: {error}"));
        }
        let process = start(&mut command).await;
        let process =
            process.map_err(|error| format!("instance {index} of {service} cannot start: {error}"))?;
        failpoint::reach("local.instance.started");
        let identity = process.identity().clone();
        self.supervision.watch((service.clone(), index), process);
        if let Some(instance) = self.instance(service, index) {
            instance.process = Some(identity);
        }
        self.save().map_err(|error| error.to_string())?;
        failpoint::reach("local.instance.identified");
        Ok(())
    }

    /// Waits until an instance accepts connections.
    pub(super) async fn wait_until_ready(&mut self, service: &Name, index: u8) -> Result<(), String> {
        let listen =
            self.instance(service, index).map(|instance| instance.listen.clone()).unwrap_or_default();
        let within = Duration::from_millis(self.config.ready_within_ms);
        let deadline = Instant::now() + within;
        let mut attempts = tokio::time::interval(CONNECT_EVERY);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {
                    return Err(format!("instance {index} of {service} did not answer on {listen} within {within:?}"));
                }
                ended = self.supervision.next_end() => {
                    if let Some(end) = self.end_of(service, index, &ended) {
                        let log = self.log_tail(service, index);
                        return Err(format!("instance {index} of {service} {} before it answered; {log}", end.exit));
                    }
                    self.note_end(&ended);
                }
                _ = attempts.tick() => {
                    if TcpStream::connect(&listen).await.is_ok() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Ends an instance if it runs, and everything that carries its tag. It stays in the state file.
    pub(super) async fn stop_instance(&mut self, service: &Name, index: u8) {
        let grace = Duration::from_millis(self.config.stop_within_ms);
        let watched = self.supervision.forget(service, index);
        let unrecorded = self.instance(service, index).is_some_and(|instance| instance.process.is_none());
        if let Some(process) = watched {
            process.stop(grace).await;
            failpoint::reach("local.instance.stopped");
        } else if unrecorded {
            for stray in Process::tagged(TAG, &self.tag(service, index)).await {
                stray.stop(grace).await;
            }
        }
        if let Some(instance) = self.instance(service, index) {
            instance.process = None;
        }
    }

    /// Ends and forgets the instances from `keep` on.
    pub(super) async fn stop_surplus(&mut self, service: &Name, keep: usize) {
        let indices = self.state.instances.get(service).into_iter().flatten().map(|(index, _)| *index);
        let surplus: Vec<u8> = indices.filter(|index| usize::from(*index) >= keep).collect();
        for index in surplus {
            self.stop_instance(service, index).await;
            if let Some(instances) = self.state.instances.get_mut(service) {
                instances.remove(&index);
            }
        }
        self.state.instances.retain(|_, instances| !instances.is_empty());
    }

    /// Ends every instance for good; they start again when the node does.
    pub(super) async fn stop_all(&mut self) {
        for (service, index) in self.instance_keys() {
            self.stop_instance(&service, index).await;
        }
        // A state that cannot be saved still names processes that are gone, which the next start notices.
        let _noticed_later = self.save();
    }

    pub(super) fn instance_keys(&self) -> Vec<(Name, u8)> {
        let all = self.state.instances.iter();
        all.flat_map(|(service, instances)| instances.keys().map(|index| (service.clone(), *index))).collect()
    }

    pub(super) fn instance(&mut self, service: &Name, index: u8) -> Option<&mut Instance> {
        self.state.instances.get_mut(service)?.get_mut(&index)
    }

    pub(super) fn log_path(&self, service: &Name, index: u8) -> PathBuf {
        self.config.root.join("logs").join(format!("{service}-{index}.log"))
    }

    fn end_of<'a>(&mut self, service: &Name, index: u8, end: &'a End) -> Option<&'a End> {
        let current = self.instance(service, index)?.process.clone();
        (current.as_ref() == Some(&end.identity)).then(|| {
            self.supervision.forget(service, index);
            end
        })
    }

    fn tag(&self, service: &Name, index: u8) -> String {
        format!("{}:{service}:{index}", self.config.root.display())
    }

    fn command(&self, service: &Name, index: u8, instance: &Instance) -> Result<Command, String> {
        let template = self.config.commands.get(service);
        let template =
            template.ok_or_else(|| format!("{service} is no longer on the allow list of {}", self.id))?;
        // Hashed again before every start: what runs is what was decided.
        let artefact = self.store.fetch(instance.artefact).map_err(|error| error.to_string())?;
        let (program, args) = template.resolve(Values {
            artefact: &artefact.to_string_lossy(),
            listen: &instance.listen,
            version: instance.release.as_str(),
            target: self.id.as_str(),
            instance: &index.to_string(),
        });
        let log =
            self.open_log(service, index).map_err(|error| format!("the log cannot be opened: {error}"))?;
        let log_too = log.try_clone().map_err(|error| format!("the log cannot be opened: {error}"))?;
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env(TAG, self.tag(service, index))
            .current_dir(&self.config.root)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too);
        Ok(command)
    }

    fn open_log(&self, service: &Name, index: u8) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.log_path(service, index))
    }

    fn log_tail(&self, service: &Name, index: u8) -> String {
        let bytes = fs::read(self.log_path(service, index)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let last = text.trim_end().rsplit('\n').next().unwrap_or_default();
        let shown: String = last.chars().filter(|shown| !shown.is_control()).take(LOG_SHOWN_LEN).collect();
        if shown.is_empty() { "its log is empty".to_owned() } else { format!("its log ends: {shown}") }
    }
}

async fn start(command: &mut Command) -> io::Result<Process> {
    failpoint::attempt("local.instance.start")?;
    for _ in 0..BUSY_TRIES_MAX {
        match Process::start(command) {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(CONNECT_EVERY).await;
            }
            started => return started,
        }
    }
    Process::start(command)
}
