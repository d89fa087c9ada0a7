//! Owns `althing dev`: the mesh that stays up, and the story that shows what it does.

use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use self::{narrator::Narrator, summary::Summary};
use crate::{
    cli::{
        daemon::{DevArguments, dev_failure},
        failure::{Exit, Failure, Outcome},
        output::Format,
        session::Session,
    },
    dev::DevMesh,
};

mod audit;
pub mod greeter;
mod narrator;
mod operator;
mod service;
mod story;
mod summary;

/// Starts a mesh, tells the story if it was asked for, and keeps the mesh up if that was.
///
/// # Errors
/// The mesh does not come up, or the story did not come out as told.
pub async fn run(arguments: &DevArguments, session: &Session) -> Outcome {
    let began = Instant::now();
    let mesh = DevMesh::start(arguments.orgs, arguments.auditors, arguments.dir.clone()).await;
    let mut mesh = mesh.map_err(|error| dev_failure(&error))?;
    let outcome = tell_and_stay(&mut mesh, arguments, session, began).await;
    mesh.stop().await;
    outcome
}

async fn tell_and_stay(
    mesh: &mut DevMesh,
    arguments: &DevArguments,
    session: &Session,
    began: Instant,
) -> Outcome {
    let interrupted = interrupted()?;
    let work = async {
        if arguments.demo {
            tell(mesh, session, began).await?;
        }
        if !arguments.demo || arguments.keep {
            show(mesh, session)?;
            std::future::pending::<()>().await;
        }
        Ok(())
    };
    tokio::select! {
        outcome = work => outcome,
        () = interrupted => Ok(()),
    }
}

async fn tell(mesh: &mut DevMesh, session: &Session, began: Instant) -> Outcome {
    let as_json = matches!(session.format(), Format::Json | Format::Ndjson);
    let narrator = Narrator::new(session, began, !as_json);
    let summary: Summary = story::tell(mesh, &narrator).await?;
    if as_json {
        let text = serde_json::to_string_pretty(&summary);
        let text = text.map_err(|error| Failure::new(Exit::EndedBadly, error.to_string()))?;
        return session.write(&format!("{text}\n"));
    }
    narrator.chapter(&format!("Everything came out as told, in {} ms", summary.total_ms))
}

/// Says where the mesh is.
fn show(mesh: &DevMesh, session: &Session) -> Outcome {
    let lines = mesh.names().map(|name| {
        let address = mesh.places(name.as_str()).and_then(|places| places.address);
        let address = address.map(|address| format!("http://{address}")).unwrap_or_default();
        format!("{name:<10} {address}\n")
    });
    let text = format!("mesh in {}\n\n{}", mesh.directory().display(), lines.collect::<String>());
    session.write(&text)?;
    if let Some(address) = mesh.places("acme").and_then(|places| places.address) {
        session.suggest(&format!("althing context add dev http://{address} --as acme/alice"));
    }
    Ok(())
}

/// Ends when the process is told to end.
fn interrupted() -> Outcome<impl Future<Output = ()>> {
    let deaf =
        |error: std::io::Error| Failure::new(Exit::EndedBadly, format!("signals cannot be heard: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
