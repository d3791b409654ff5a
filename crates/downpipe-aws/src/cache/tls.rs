//! Verifies the identity of a Valkey before it gets a token. There is no way to switch that off.

use std::fmt;
use std::io;
use std::sync::Arc;

use downpipe_core::cache::{CacheError, CacheFault};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The authorities, one of which must have issued the cache's certificate.
#[derive(Clone)]
pub struct CacheAuthorities {
    config: Arc<ClientConfig>,
}

/// A text that is no list of root certificates.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected certificates in PEM, -----BEGIN CERTIFICATE----- and so on, got {0}")]
pub struct InvalidCacheAuthorities(String);

/// Why a certificate was refused. Its own words would name hosts.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(&'static str);

impl CacheAuthorities {
    /// Returns those of the web, which issue the certificates of ElastiCache, too.
    ///
    /// # Errors
    /// When the crypto library lacks what TLS needs.
    pub fn of_the_web() -> Result<Self, InvalidCacheAuthorities> {
        Self::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// Reads those of a PEM file, which replace those of the web.
    ///
    /// # Errors
    /// When it has no certificate, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidCacheAuthorities> {
        let mut store = RootCertStore::empty();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let unreadable =
                |error: String| InvalidCacheAuthorities(format!("certificate {}: {error}", index + 1));
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            store.add(certificate).map_err(|error| unreadable(error.to_string()))?;
        }
        if store.is_empty() { Err(InvalidCacheAuthorities("none".to_owned())) } else { Self::new(store) }
    }

    fn new(roots: RootCertStore) -> Result<Self, InvalidCacheAuthorities> {
        // The crypto library that the AWS clients use, so that the binary has only one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions.map_err(|error| InvalidCacheAuthorities(error.to_string()))?;
        Ok(Self { config: Arc::new(config.with_root_certificates(roots).with_no_client_auth()) })
    }

    /// Encrypts a connection to a host whose certificate proves its name.
    pub(super) async fn secure(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, CacheError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| CacheError { fault: CacheFault::Name, source: error.into() })?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, stream).await.map_err(failed)
    }
}

impl fmt::Debug for CacheAuthorities {
    /// Leaves out the certificates, which are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheAuthorities").finish_non_exhaustive()
    }
}

fn failed(error: io::Error) -> CacheError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(refused)) => {
            CacheError { fault: CacheFault::Tls, source: Refused(of_certificate(refused)).into() }
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            let source = Refused("expected an encrypted connection, the server answers in clear text");
            CacheError { fault: CacheFault::Tls, source: source.into() }
        }
        Some(_) => CacheError { fault: CacheFault::Tls, source: error.into() },
        None => CacheError { fault: CacheFault::Connection, source: error.into() },
    }
}

fn of_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "expected a certificate of a trusted authority, got one of another issuer \
             (DOWNPIPE_CACHE_CA names the root certificates of a cache that is not ElastiCache's)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "expected a certificate for the host name in DOWNPIPE_CACHE, got one for other names"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "expected a valid certificate, got one that has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "expected a valid certificate, got one that is not valid yet"
        }
        _ => "expected a valid certificate, got one that cannot be used",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_of_the_web_are_known() {
        assert!(CacheAuthorities::of_the_web().is_ok());
    }

    #[test]
    fn authorities_that_are_no_certificates_are_refused_with_what_came() {
        let error = |pem: &[u8]| CacheAuthorities::from_pem(pem).unwrap_err().to_string();
        assert!(error(b"").ends_with("and so on, got none"));
        let broken = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert!(error(broken).contains("got certificate 1: "), "{}", error(broken));
    }
}
