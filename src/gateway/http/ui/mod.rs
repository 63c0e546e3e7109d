//! The web page: its files, which are part of this program, and the interface that it reads and acts through (`/ui/api`). What both may
//! do: docs/web-page.md; why this process may ask for acts: docs/decisions/0184.

mod about;
mod act;
pub(super) mod answer;
mod caller;
mod calls;
mod capture;
mod capture_state;
mod config;
mod events;
mod files;
pub(super) mod gate;
mod logs;
mod needs;
mod paths;
mod server;
mod sessions;
mod state;

use actix_web::{
    HttpResponse,
    guard::{GuardContext, fn_guard},
    http::header,
    web,
};

use super::resource::resource;

/// Below it is what the page reads and acts through.
const INTERFACE: &str = "/ui/api";
const READ: &str = "GET, OPTIONS";

/// The routes of page and interface.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    for way in ["/", "/ui"] {
        config.route(way, web::get().guard(fn_guard(wants_page)).to(files::way));
        config.route(way, web::head().guard(fn_guard(wants_page)).to(files::way));
    }
    let read = |path: &str| resource(format!("{INTERFACE}{path}"), READ);
    let act = |path: &str| resource(format!("{INTERFACE}{path}"), "POST, OPTIONS");
    config
        .service(read("/about").route(web::get().to(about::get)))
        .service(read("/state").route(web::get().to(state::get)))
        .service(read("/events").route(web::get().to(events::get)))
        .service(read("/servers/{name}").route(web::get().to(server::get)))
        .service(read("/calls").route(web::get().to(calls::list)))
        .service(read("/calls/{id}").route(web::get().to(calls::one)))
        .service(read("/sessions").route(web::get().to(sessions::get)))
        .service(read("/logs").route(web::get().to(logs::get)))
        .service(read("/config").route(web::get().to(config::get)))
        .service(act("/act").route(web::post().to(act::post)))
        .service(act("/capture").route(web::post().to(capture::post)))
        .service(web::resource([INTERFACE, "/ui/api/{rest:.*}"]).default_service(web::to(unknown)))
        .service(
            resource("/ui/{file:.*}".to_owned(), "GET, HEAD, OPTIONS")
                .route(web::get().to(files::get))
                .route(web::head().to(files::get)),
        );
}

/// Programs that look at `/` are told where MCP is.
fn wants_page(request: &GuardContext<'_>) -> bool {
    let head = request.head();
    let accepts = |value: &header::HeaderValue| value.to_str().is_ok_and(|text| text.contains("text/html"));
    head.uri.path() == "/ui" || head.headers.get_all(header::ACCEPT).any(accepts)
}

async fn unknown() -> HttpResponse {
    answer::not_found("there is nothing here", Some("docs/web-page.md lists what /ui/api answers"))
}
