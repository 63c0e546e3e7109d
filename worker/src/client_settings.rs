//! How an entry says that something is reached over HTTP, in the words of the client.

use mcproxy_http::{AddressRule, ClientSettings, ProxyRule, TlsSettings, Url};
use mcproxy_ipc::{HttpProxy, HttpSpec, PemSource};

/// How something at this URL is reached that an entry says how to reach.
pub(crate) fn client_settings(http: &HttpSpec, url: Url) -> ClientSettings {
    let text = |pem: &PemSource| pem.expose().to_owned();
    ClientSettings {
        url,
        tls: TlsSettings {
            ca: http.tls.ca.as_ref().map(text),
            client: http.tls.client.as_ref().map(|(certificate, key)| (text(certificate), text(key))),
        },
        proxy: match &http.proxy {
            HttpProxy::System => ProxyRule::System,
            HttpProxy::Direct => ProxyRule::Direct,
            HttpProxy::Url(url) => ProxyRule::Url(url.expose().to_owned()),
        },
        connect_timeout: http.connect_timeout,
        addresses: Some(AddressRule { deny_private: http.deny_private }),
    }
}
