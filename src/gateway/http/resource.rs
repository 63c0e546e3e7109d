//! A path with the methods that it has.

use actix_web::{
    HttpResponse, Resource,
    http::{Method, header},
    web,
};

/// A resource at a path; `methods` is the `Allow` header for other methods and for `OPTIONS`.
pub(super) fn resource(path: String, methods: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move |method: Method| async move {
        let mut answer = match method {
            Method::OPTIONS => HttpResponse::NoContent(),
            _ => HttpResponse::MethodNotAllowed(),
        };
        answer.insert_header((header::ALLOW, methods)).finish()
    }))
}
