//! Headers that let pages of other origins read answers (Fetch standard, CORS protocol). The auth service has already refused all other origins.

use actix_web::{
    HttpResponse,
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};

/// All methods that any path knows.
const METHODS: &str = "GET, HEAD, POST, DELETE, OPTIONS";
/// Headers that a page is likely to send that does not say which.
const HEADERS: &str = "Authorization, X-API-Key, Content-Type, Accept, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, \
                       Mcp-Name, Last-Event-ID";
/// Headers of answers that a page may read, beyond those that it always may.
const EXPOSED: &str = "Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After, Allow, Accept-Encoding";
/// Headers that an answer to a preflight depends on.
const VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
/// For so many seconds a browser need not ask again. An origin that is taken out of the configuration is refused all the same.
const MAX_AGE: &str = "3600";

/// Lets the page read an answer, whatever it is.
pub(super) fn allow(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if !headers.contains_key(header::VARY) {
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
}

/// The answer to a browser that asks whether a page may send a request; `None`: it does not ask that. It carries no token and
/// names no session, so the answer is the same for every path.
pub(super) fn preflight(method: &Method, asked: &HeaderMap) -> Option<HttpResponse> {
    if method != Method::OPTIONS || !asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    // Any header may be sent by who may send requests: tools name headers of their own (`Mcp-Param-…`).
    let headers = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|value| !value.is_empty()).cloned();
    let headers = headers.unwrap_or_else(|| HeaderValue::from_static(HEADERS));
    let mut answer = HttpResponse::NoContent();
    answer
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE))
        .insert_header((header::VARY, VARY));
    // Private Network Access: a page from elsewhere that calls a gateway on this machine.
    let private = asked.get(HeaderName::from_static("access-control-request-private-network"));
    if private.is_some_and(|value| value == "true") {
        answer.insert_header((HeaderName::from_static("access-control-allow-private-network"), "true"));
    }
    Some(answer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn text(headers: &HeaderMap, name: &'static str) -> Option<String> {
        headers.get(name).map(|value| value.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_page_may_send_the_headers_it_names_or_the_usual_ones() {
        let asked = asking(&[
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,mcp-param-region"),
        ]);
        let answer = preflight(&Method::OPTIONS, &asked).expect("a preflight");
        assert_eq!(answer.status(), 204);
        let headers = answer.headers();
        assert_eq!(text(headers, "access-control-allow-headers").as_deref(), Some("content-type,mcp-param-region"));
        assert!(text(headers, "access-control-allow-methods").is_some_and(|methods| methods.contains("DELETE")));
        assert_eq!(text(headers, "access-control-allow-private-network"), None);
        let asked =
            asking(&[("access-control-request-method", "GET"), ("access-control-request-private-network", "true")]);
        let answer = preflight(&Method::OPTIONS, &asked).expect("a preflight");
        assert!(text(answer.headers(), "access-control-allow-headers").is_some_and(|h| h.contains("Mcp-Session-Id")));
        assert_eq!(text(answer.headers(), "access-control-allow-private-network").as_deref(), Some("true"));
    }

    #[test]
    fn only_an_options_request_that_asks_for_a_method_is_a_preflight() {
        let asked = asking(&[("access-control-request-method", "POST")]);
        assert!(preflight(&Method::POST, &asked).is_none());
        assert!(preflight(&Method::OPTIONS, &HeaderMap::new()).is_none());
    }

    #[test]
    fn an_answer_says_for_whom_it_is() {
        let mut headers = asking(&[("content-type", "application/json")]);
        allow(HeaderValue::from_static("https://app.example"), &mut headers);
        assert_eq!(text(&headers, "access-control-allow-origin").as_deref(), Some("https://app.example"));
        assert_eq!(text(&headers, "vary").as_deref(), Some("Origin"));
        assert!(text(&headers, "access-control-expose-headers").is_some_and(|names| names.contains("Mcp-Session-Id")));
    }
}
