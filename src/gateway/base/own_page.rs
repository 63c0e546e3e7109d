//! Whether a request to the interface of the web page (`/ui/api`) comes from that page: decisions over the raw headers, which only
//! a browser sets on behalf of a page, and which no page can set for itself (docs/decisions/0184).

use std::net::IpAddr;

use super::access;

/// The header that every request of the page carries. A page of another origin cannot send it unasked, and is refused when its
/// browser asks.
pub(crate) const MARK: &str = "x-mcproxy-ui";

/// Headers that a proxy adds: what carries one does not come from this machine, whoever connects.
pub(crate) const FORWARDED: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// The headers of a request that say where it comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PageHeaders<'h> {
    /// [`MARK`].
    pub(crate) mark: Option<&'h str>,
    /// `Sec-Fetch-Site`.
    pub(crate) site: Option<&'h str>,
    /// `Origin`.
    pub(crate) origin: Option<&'h str>,
    /// `Host`.
    pub(crate) host: Option<&'h str>,
}

/// Why a request is not taken for one of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOurPage {
    /// The header of its own is missing.
    #[error("requests to /ui/api carry the header `X-MCProxy-UI: 1`, and this one does not")]
    Unmarked,
    /// The browser says that another site made it.
    #[error("a page of another site (Sec-Fetch-Site) may not use /ui/api; open MCProxy's own page at /ui/")]
    OtherSite,
    /// The page is of another origin.
    #[error(
        "a page of another origin may not use /ui/api; open MCProxy's own page at /ui/ (a proxy in between has to pass the Host header on)"
    )]
    OtherOrigin,
}

/// Whether the page may have made a request with these headers. Programs send no origin; they say that they mean it by the header.
pub(crate) fn check(headers: PageHeaders<'_>) -> Result<(), NotOurPage> {
    if headers.site.is_some_and(|site| site != "same-origin") {
        return Err(NotOurPage::OtherSite);
    }
    if headers.origin.is_some_and(|origin| !access::is_same_origin(origin, headers.host.unwrap_or_default())) {
        return Err(NotOurPage::OtherOrigin);
    }
    if headers.mark != Some("1") {
        return Err(NotOurPage::Unmarked);
    }
    Ok(())
}

/// Whether a request was made on this machine: the connection is of a loopback address and no proxy speaks of having made it for
/// another.
pub(crate) fn is_local(peer: Option<IpAddr>, host: Option<&str>, is_forwarded: bool) -> bool {
    peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        && host.is_some_and(access::is_loopback_host)
        && !is_forwarded
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: PageHeaders<'_> = PageHeaders {
        mark: Some("1"),
        site: Some("same-origin"),
        origin: Some("http://localhost:12009"),
        host: Some("localhost:12009"),
    };

    #[test]
    fn only_our_own_page_and_programs_that_mean_it_are_let_in() {
        assert_eq!(check(OURS), Ok(()));
        assert_eq!(check(PageHeaders { origin: None, ..OURS }), Ok(()), "a GET has no Origin");
        assert_eq!(check(PageHeaders { site: None, origin: None, ..OURS }), Ok(()), "a program");
        for site in ["cross-site", "same-site", "none", ""] {
            assert_eq!(check(PageHeaders { site: Some(site), ..OURS }), Err(NotOurPage::OtherSite), "{site}");
        }
        for origin in ["http://localhost:3000", "https://evil.example", "null"] {
            assert_eq!(check(PageHeaders { origin: Some(origin), ..OURS }), Err(NotOurPage::OtherOrigin));
            assert_eq!(check(PageHeaders { site: None, origin: Some(origin), ..OURS }), Err(NotOurPage::OtherOrigin));
        }
        assert_eq!(check(PageHeaders { host: None, ..OURS }), Err(NotOurPage::OtherOrigin));
        for mark in [None, Some(""), Some("0")] {
            assert_eq!(check(PageHeaders { mark, ..OURS }), Err(NotOurPage::Unmarked));
        }
    }

    #[test]
    fn this_machine_is_a_loopback_connection_without_a_proxy() {
        let (loopback, other) = (Some(IpAddr::from([127, 0, 0, 1])), Some(IpAddr::from([192, 0, 2, 1])));
        assert!(is_local(loopback, Some("localhost:12009"), false));
        assert!(!is_local(loopback, Some("localhost:12009"), true), "a proxy on this machine");
        assert!(!is_local(loopback, Some("tools.example"), false), "a proxy that says nothing of itself");
        assert!(!is_local(other, Some("localhost:12009"), false) && !is_local(None, Some("localhost"), false));
        assert!(!is_local(loopback, None, false));
    }
}
