//! What is trusted over TLS, and how a client shows who it is.

use std::{borrow::Cow, fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Certificates and keys; each is the path of a PEM file, or its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The authorities that are trusted instead of the system's.
    pub ca: Option<String>,
    /// The client's own certificate with those that lead to its authority, and its key.
    pub client: Option<(String, String)>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{key}` from {path}; it must be readable for the user that the worker runs as")]
    Read {
        /// Which setting.
        key: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It holds nothing of use.
    #[error("`{key}` is no PEM text with {what}")]
    Pem {
        /// Which setting.
        key: &'static str,
        /// What was looked for.
        what: &'static str,
    },
    /// Key and certificate do not belong together, or are of no known kind.
    #[error("`tls.clientCert` and `tls.clientKey` cannot be used together: {0}")]
    Client(rustls::Error),
    /// There are no authorities on this machine.
    #[error("this machine has no certificates of authorities; install `ca-certificates`, or set `tls.ca`")]
    NoRoots,
    /// The protocol versions.
    #[error("TLS cannot be set up: {0}")]
    Versions(rustls::Error),
}

/// Lets clients that are made elsewhere in this process, such as those of tests, speak TLS as ours do: `reqwest` makes none without.
pub fn share_provider() {
    // Whoever came first did the same.
    let _ = ring::default_provider().install_default();
}

/// What a client of these settings trusts and shows. `is_used`: whether anything is reached over TLS at all; the authorities of the
/// system are read for that only.
pub(crate) fn config(settings: &TlsSettings, is_used: bool) -> Result<ClientConfig, TlsError> {
    let roots = match &settings.ca {
        _ if !is_used => RootCertStore::empty(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            let (added, _) = roots.add_parsable_certificates(certificates("tls.ca", ca)?);
            if added == 0 {
                return Err(TlsError::Pem { key: "tls.ca", what: "certificates of authorities" });
            }
            roots
        }
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots);
            }
            roots
        }
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .with_root_certificates(roots);
    let mut config = match &settings.client {
        Some((certificate, key)) if is_used => {
            let chain = certificates("tls.clientCert", certificate)?;
            let key = PrivateKeyDer::from_pem_slice(&pem("tls.clientKey", key)?)
                .map_err(|_| TlsError::Pem { key: "tls.clientKey", what: "a private key" })?;
            builder.with_client_auth_cert(chain, key).map_err(TlsError::Client)?
        }
        Some(_) | None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(key: &'static str, value: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = pem(key, value)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::Pem { key, what: "certificates" }),
    }
}

/// The text itself, or that of the file.
fn pem<'v>(key: &'static str, value: &'v str) -> Result<Cow<'v, [u8]>, TlsError> {
    if value.trim_start().starts_with("-----BEGIN") {
        return Ok(value.as_bytes().into());
    }
    let read = fs::read(Path::new(value));
    read.map(Cow::from).map_err(|source| TlsError::Read { key, path: value.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_key() {
        let settings = |ca: &str| TlsSettings { ca: Some(ca.to_owned()), client: None };
        let said = |ca: &str| config(&settings(ca), true).expect_err("refused").to_string();
        assert!(said("/no/such/file").starts_with("cannot read `tls.ca` from /no/such/file"));
        assert_eq!(said("-----BEGIN NOTHING-----"), "`tls.ca` is no PEM text with certificates");
        let client = TlsSettings { ca: None, client: Some(("-----BEGIN X".into(), "/k".into())) };
        assert!(config(&client, false).is_ok(), "nothing is read for what is not used");
    }
}
