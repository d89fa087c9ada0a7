//! Owns the admin listener's routes: whether the node lives and is ready, its metrics, and the API's description.

use actix_web::{HttpResponse, web};

use super::Shared;
use crate::api::openapi;

/// Mounts the admin routes.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.route("/livez", web::get().to(livez));
    config.route("/readyz", web::get().to(readyz));
    config.route("/metrics", web::get().to(metrics));
    config.route("/openapi.json", web::get().to(description));
    config.default_service(web::to(super::no_such_path));
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("[+]api ok\n")
}

async fn readyz(shared: web::Data<Shared>) -> HttpResponse {
    let checks = shared.backend.checks();
    let lines = checks.iter().map(|check| match &check.failure {
        None => format!("[+]{} ok\n", check.name),
        Some(why) => format!("[-]{} failed: {why}\n", check.name),
    });
    let text = lines.collect::<Vec<_>>().concat();
    let ready = checks.iter().all(|check| check.failure.is_none());
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.content_type("text/plain; charset=utf-8").body(text)
}

async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    let text = shared.backend.metrics_text();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}

async fn description() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(openapi::json())
}
