//! Owns the story that shows what a mesh does, and the mesh of `althing dev` that stays up.

use crate::{
    cli::{daemon::DevArguments, failure::Outcome, session::Session},
    dev::DevMesh,
};

pub mod greeter;

/// Tells the story if it was asked for, and keeps the mesh up if that was.
///
/// # Errors
/// What did not come out as told.
pub async fn run(mesh: DevMesh, arguments: &DevArguments, session: &Session) -> Outcome {
    let told = Ok(());
    if !arguments.demo || arguments.keep {
        stay(&mesh, session).await?;
    }
    mesh.stop().await;
    told
}

/// Says where the mesh is and waits until it is told to end.
async fn stay(mesh: &DevMesh, session: &Session) -> Outcome {
    for name in mesh.names() {
        let Some(places) = mesh.places(name.as_str()) else { continue };
        let address = places.address.map(|address| format!("http://{address}")).unwrap_or_default();
        session.write(&format!("{name:<10} {address}\n"))?;
    }
    let first = mesh.places("acme").and_then(|places| places.address);
    if let Some(address) = first {
        session.suggest(&format!("althing context add dev http://{address} --as acme/alice"));
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .expect("signals can be heard");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
