//! Owns the routes that let an outsider check: the certified head, and the bundle that proves everything.

use actix_web::{HttpResponse, http::StatusCode, web};
use bytes::Bytes;
use futures::{Stream, stream};
use tokio::io::AsyncReadExt as _;

use super::{Answer, Shared};
use crate::api::{height::Pinned, problem::Problem, view::node::HeadView};

/// Bytes of a bundle that are read and sent at a time.
const CHUNK_LEN: usize = 64 * 1024;

/// Shows the last final block.
#[utoipa::path(get, path = "/v1/audit/head", tag = "audit", responses((status = 200, body = HeadView)))]
pub(crate) async fn head(view: Pinned) -> Answer {
    Ok(HttpResponse::Ok().json(HeadView::new(&view)))
}

/// Downloads the auditor's bundle: genesis, every block with its certificate, and what an outsider needs to check
/// them offline.
#[utoipa::path(get, path = "/v1/audit/export", tag = "audit",
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub(crate) async fn export(shared: web::Data<Shared>) -> Answer {
    let backend = shared.backend.clone();
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| super::events::too_many_streams())?;
    let file = tokio::fs::File::from_std(backend.export_bundle().await?);
    let len = file.metadata().await.map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "bundle",
            "The bundle cannot be read",
            format!("the bundle was written and cannot be read: {error}"),
        )
    })?;
    let network = backend.view().network.short();
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header(("content-disposition", format!("attachment; filename=\"althing-{network}.bundle\"")))
        .no_chunking(len.len())
        .streaming(chunks(file, permit)))
}

fn chunks(file: tokio::fs::File, permit: impl Sized) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold((file, permit), |(mut file, permit)| async move {
        let mut chunk = Vec::with_capacity(CHUNK_LEN);
        let limit = u64::try_from(CHUNK_LEN).unwrap_or(u64::MAX);
        let read = (&mut file).take(limit).read_to_end(&mut chunk).await?;
        Ok((read > 0).then(|| (Bytes::from(chunk), (file, permit))))
    })
}
