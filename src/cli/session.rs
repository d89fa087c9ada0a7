//! Owns what a command runs with: the node's client, the form of its output, and whether it may ask.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use althing_contracts::{
    name::{MemberId, Name},
    quantity::TimeMs,
};

use super::{
    Global,
    client::{Address, Client},
    context::{self, Contexts},
    failure::{Exit, Failure, Outcome},
    heights::Heights,
    output::{self, Format, Render},
};

/// Longest time for a command when `--timeout` does not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// One run of a command.
#[derive(Debug)]
pub struct Session {
    pub(super) global: Global,
}

/// Where the node's address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The address.
    pub address: Address,
    /// The member to act as by default.
    pub member: Option<MemberId>,
    /// What named it.
    pub origin: String,
}

impl Session {
    /// A session with the options given.
    pub fn new(global: Global) -> Self {
        Self { global }
    }

    /// The node to talk to: `--addr`, else `--context`, else the current context.
    ///
    /// # Errors
    /// None is named, or the contexts cannot be read.
    pub fn origin(&self) -> Outcome<Origin> {
        if let Some(text) = &self.global.addr {
            let address = text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}")))?;
            return Ok(Origin { address, member: None, origin: "--addr or ALTHING_ADDR".to_owned() });
        }
        let path = context::file(self.global.context_file.as_deref())?;
        let contexts = Contexts::read(&path)?;
        let current = contexts.current.as_ref().map(Name::as_str);
        let Some(name) = self.global.context.as_deref().or(current) else {
            return Err(Failure::with_help(
                Exit::Configuration,
                "no node is chosen",
                "give --addr, or add one with `althing context add NAME ADDRESS`; `althing dev` starts a whole mesh",
            ));
        };
        let found = contexts.contexts.iter().find(|(known, _)| known.as_str() == name);
        let (_, context) = found.ok_or_else(|| context::unknown(name, &contexts))?;
        let origin = format!("context {name} in {}", path.display());
        Ok(Origin { address: context.addr.clone(), member: context.member.clone(), origin })
    }

    /// A client for one ordinary command.
    ///
    /// # Errors
    /// As [`Self::origin`].
    pub fn client(&self) -> Outcome<Client> {
        self.client_within(self.timeout(TIMEOUT_DEFAULT))
    }

    /// A client whose requests end within `timeout`.
    ///
    /// # Errors
    /// As [`Self::origin`].
    pub fn client_within(&self, timeout: Duration) -> Outcome<Client> {
        Client::new(self.origin()?.address, timeout, self.heights())
    }

    /// What this user has seen of each network, beside the contexts; in memory alone where there is no place for them.
    fn heights(&self) -> Heights {
        let contexts = context::file(self.global.context_file.as_deref());
        contexts.map_or_else(|_| Heights::default(), |file| Heights::kept(file.with_extension("heights")))
    }

    /// The time given, or `default`.
    pub fn timeout(&self, default: Duration) -> Duration {
        self.global.timeout.map_or(default, |timeout| timeout.0)
    }

    /// The member to act as: as given, or by the context.
    ///
    /// # Errors
    /// Neither says.
    pub fn member(&self, given: Option<MemberId>) -> Outcome<MemberId> {
        if let Some(member) = given {
            return Ok(member);
        }
        self.origin()?.member.ok_or_else(|| {
            Failure::with_help(
                Exit::Usage,
                "nobody is named to act as",
                "give --as ORG/NAME; `althing node status` lists the members whose keys the node holds",
            )
        })
    }

    /// The local clock, for "how long from now".
    pub fn now(&self) -> TimeMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimeMs::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The form of the output.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.global.output
    }

    /// Prints data in the form asked for.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn print(&self, value: &impl Render) -> Outcome {
        self.write(&output::render(value, self.global.output, self.now()))
    }

    /// Writes text to stdout as it is.
    ///
    /// # Errors
    /// A closed pipe ends the command quietly; anything else is a failure.
    pub fn write(&self, text: &str) -> Outcome {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::closed_pipe()),
            Err(error) => Err(Failure::new(Exit::EndedBadly, format!("cannot write to stdout: {error}"))),
        }
    }

    /// Says something to the person, not to the pipe.
    pub fn say(&self, text: &str) {
        if !self.global.quiet {
            // Nobody may be listening on stderr; there is no other place to say so.
            let _heard = writeln!(io::stderr(), "{text}");
        }
    }

    /// Suggests the next command.
    pub fn suggest(&self, command: &str) {
        self.say(&format!("next: {command}"));
    }

    /// Asks for a yes, unless it was given in advance.
    ///
    /// # Errors
    /// The answer is no, or nobody can be asked.
    pub fn confirm(&self, question: &str, flag: &str) -> Outcome {
        if self.global.yes {
            return Ok(());
        }
        if self.global.no_input || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let help = format!("give {flag}, or --yes to take what is current");
            return Err(Failure::with_help(Exit::Usage, format!("not confirmed: {question}"), help));
        }
        // A question that cannot be written is answered by nobody, which is a no.
        let _asked = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err(Failure::new(Exit::Usage, "nothing was done"))
    }
}
