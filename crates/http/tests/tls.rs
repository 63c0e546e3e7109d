//! What is trusted over TLS, against servers whose certificates are made here.

use std::{sync::Arc, time::Duration};

use mcproxy_http::{AddressRule, ClientSettings, ProxyRule, TlsSettings, Url, fault, http_client};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

/// A certificate for this name and its key, valid until that year.
fn certificate(authority: &Authority, name: &str, until: i32) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("params");
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, authority).expect("signed"), key)
}

/// A server with this certificate that answers every request with 204; its URL. `asks_for`: whose certificates it wants to see.
async fn server((certificate, key): (rcgen::Certificate, KeyPair), asks_for: Option<&Authority>) -> Url {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match asks_for {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = builder.with_single_cert(vec![CertificateDer::from(certificate)], key).expect("a certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    Url::parse(&format!("https://localhost:{port}/")).expect("a URL")
}

/// The status of the answer, or why there is none.
async fn get(url: &Url, tls: TlsSettings) -> String {
    let settings = ClientSettings {
        url: url.clone(),
        tls,
        proxy: ProxyRule::Direct,
        connect_timeout: Duration::from_secs(10),
        addresses: Some(AddressRule::default()),
    };
    match http_client(&settings).expect("a client").get(url.clone()).send().await {
        Ok(response) => response.status().as_str().to_owned(),
        Err(error) => fault(&error).text,
    }
}

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings { ca: Some(authority.pem()), client: None }
}

#[tokio::test]
async fn a_certificate_that_is_not_good_enough_is_named_with_what_to_do() {
    let (ours, other) = (authority(), authority());
    let good = server(certificate(&ours, "localhost", 2100), None).await;
    assert_eq!(get(&good, trusting(&ours)).await, "204");
    let unknown = get(&good, trusting(&other)).await;
    assert!(unknown.contains("not trusted here; name that authority in `tls.ca`"), "{unknown}");
    let expired = server(certificate(&ours, "localhost", 2020), None).await;
    let said = get(&expired, trusting(&ours)).await;
    assert!(said.contains("has expired"), "{said}");
    let elsewhere = server(certificate(&ours, "elsewhere.example", 2100), None).await;
    let said = get(&elsewhere, trusting(&ours)).await;
    assert!(said.contains("not for localhost but for") && said.contains("elsewhere.example"), "{said}");
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_shown_a_certificate() {
    let (ours, clients) = (authority(), authority());
    let url = server(certificate(&ours, "localhost", 2100), Some(&clients)).await;
    let said = get(&url, trusting(&ours)).await;
    assert!(said.contains("tls.clientCert"), "{said}");
    let (certificate, key) = certificate(&clients, "me", 2100);
    let client = Some((certificate.pem(), key.serialize_pem()));
    assert_eq!(get(&url, TlsSettings { client, ..trusting(&ours) }).await, "204");
}

#[tokio::test]
async fn a_port_without_tls_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let url = Url::parse(&format!("https://127.0.0.1:{port}/")).expect("a URL");
    let said = get(&url, trusting(&authority())).await;
    assert!(said.contains("does not speak TLS at this port"), "{said}");
}
