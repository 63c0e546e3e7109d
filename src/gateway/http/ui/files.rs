//! The files of the page, which are embedded: this process can open none.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentType},
    web,
};
use rust_embed::{Embed, EmbeddedFile};

use super::{answer::guard, caller::gateway_of};

/// All of `src/gateway/ui`. (A file that is added there is embedded once this file is compiled again.)
#[derive(Embed)]
#[folder = "src/gateway/ui/"]
#[exclude = "*.md"]
#[exclude = "*.d.ts"]
#[exclude = "*tsconfig*.json"]
#[exclude = "*package*.json"]
struct WebFiles;

/// The beginning.
const INDEX: &str = "index.html";
/// What is said where there is no page.
const SWITCHED_OFF: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>MCProxy</title>\
    <h1>The web page of this MCProxy is switched off</h1>\
    <p>Write <code>\"ui\": true</code> into its configuration, or remove that key, to switch it on. MCP is at <code>/mcp</code>.</p></html>\n";

/// `GET /` of a browser, and `GET /ui`.
pub(super) async fn way(request: HttpRequest) -> HttpResponse {
    if !gateway_of(&request).settings().ui {
        return switched_off();
    }
    // Relative, so that it leads there below the path of a proxy, too.
    guard(&mut HttpResponse::Found()).insert_header((header::LOCATION, "ui/")).finish()
}

/// `GET /ui/{file}`
pub(super) async fn get(request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    if !gateway_of(&request).settings().ui {
        return switched_off();
    }
    let name = match file.as_str() {
        "" => INDEX,
        name => name,
    };
    let Some(file) = WebFiles::get(name) else {
        let text = "there is no such file; the page begins at /ui/\n";
        return guard(&mut HttpResponse::NotFound()).content_type(ContentType::plaintext()).body(text);
    };
    let tag = tag(&file);
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)) {
        return guard(&mut HttpResponse::NotModified())
            .insert_header((header::ETAG, tag))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .finish();
    }
    guard(&mut HttpResponse::Ok())
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type(kind(name))
        .body(file.data.into_owned())
}

fn switched_off() -> HttpResponse {
    guard(&mut HttpResponse::NotFound()).content_type(ContentType::html()).body(SWITCHED_OFF)
}

fn tag(file: &EmbeddedFile) -> String {
    let digest = file.metadata.sha256_hash();
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_embedded_with_types_that_browsers_take_and_nothing_is_there_that_it_does_not_need() {
        assert!(WebFiles::get(INDEX).is_some());
        for name in WebFiles::iter() {
            assert!(!name.ends_with(".md") && !name.ends_with(".d.ts") && !name.contains("node_modules"), "{name}");
            let script = name.ends_with(".js");
            assert_eq!(kind(&name).starts_with("text/javascript"), script, "{name}");
        }
    }
}
