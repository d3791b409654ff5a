//! Who may vouch for the database: the certificate authorities, and what is said when nobody does.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, RootCertStore};

/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>
const RDS: &str = include_str!("rds-ca.pem");

/// Certificate authorities, one of which must have issued the database's certificate. (sqlx trusts the public ones of the
/// web besides; they vouch for host names, too, and host names are always compared.)
#[derive(Clone)]
pub struct Authorities {
    pem: Arc<[u8]>,
}

/// A text that is no list of certificate authorities.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected certificates in PEM, -----BEGIN CERTIFICATE----- and so on, got {0}")]
pub struct InvalidAuthorities(String);

impl Authorities {
    /// Those of RDS: built in, so that a database there is verified without a setting.
    #[must_use]
    pub fn rds() -> Self {
        Self { pem: RDS.as_bytes().into() }
    }

    /// Those in a PEM file's text, and not RDS's.
    ///
    /// # Errors
    /// When it has none, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidAuthorities> {
        read(pem)?;
        Ok(Self { pem: pem.into() })
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.pem.to_vec()
    }
}

impl fmt::Debug for Authorities {
    /// Without the text, which is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").finish_non_exhaustive()
    }
}

fn read(pem: &[u8]) -> Result<RootCertStore, InvalidAuthorities> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let unreadable = |error: String| InvalidAuthorities(format!("certificate {}: {error}", index + 1));
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        store.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if store.is_empty() { Err(InvalidAuthorities("none".to_owned())) } else { Ok(store) }
}

/// Why a server is not trusted, if that is what the error says. In words of our own: rustls's name hosts.
pub(crate) fn distrust(error: &sqlx::Error) -> Option<&'static str> {
    match error {
        // What sqlx finds before the first byte of TLS: a server that offers none, or a setting that makes no sense.
        sqlx::Error::Tls(words) if words.to_string() == "server does not support TLS" => {
            Some("expected an encrypted connection, the server offers none")
        }
        sqlx::Error::Tls(_) => Some("expected a host name and certificate authorities that TLS can use"),
        sqlx::Error::Io(error) => match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(error) => Some(of_certificate(error)),
            rustls::Error::PeerIncompatible(_) => Some("expected TLS 1.2 or 1.3, the server speaks neither"),
            _ => None,
        },
        _ => None,
    }
}

fn of_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "expected a certificate of a trusted authority, got one of another issuer \
             (DOWNPIPE_DATABASE_CA names the authorities of a server that is not RDS's)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "expected a certificate for the host name in the login, got one for other names"
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
    fn the_roots_of_rds_are_all_there() {
        assert_eq!(read(RDS.as_bytes()).unwrap().len(), 87);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let refused = |pem: &str| Authorities::from_pem(pem.as_bytes()).unwrap_err().to_string();
        let expected = "expected certificates in PEM, -----BEGIN CERTIFICATE----- and so on, got";
        assert_eq!(refused(""), format!("{expected} none"));
        assert_eq!(refused("/etc/ssl/ca.pem"), format!("{expected} none"));
        let cut = &RDS[..RDS.find("-----END").unwrap()];
        assert!(refused(cut).starts_with(&format!("{expected} certificate 1: ")), "{}", refused(cut));
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refused(hollow).starts_with(&format!("{expected} certificate 1: ")), "{}", refused(hollow));
    }
}
