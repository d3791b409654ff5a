//! The root certificates that prove a database's identity, and the reasons why a server fails.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, RootCertStore};

/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>
const RDS: &str = include_str!("../rds-ca.pem");

/// Root certificates, one of which must have issued the database's certificate.
///
/// sqlx trusts the public ones of the web, too. They prove host names as well, and host names are always compared.
#[derive(Clone)]
pub struct RootCertificates {
    pem: Arc<[u8]>,
}

/// A text that is no list of root certificates.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected certificates in PEM, -----BEGIN CERTIFICATE----- and so on, got {0}")]
pub struct InvalidAuthorities(String);

impl RootCertificates {
    /// Those of RDS, which are built in, so that a database there is verified without a setting.
    #[must_use]
    pub fn rds() -> Self {
        Self { pem: RDS.as_bytes().into() }
    }

    /// Reads those of a PEM file, which replace RDS's.
    ///
    /// # Errors
    /// When it has no certificate, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidAuthorities> {
        read(pem)?;
        Ok(Self { pem: pem.into() })
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.pem.to_vec()
    }
}

impl fmt::Debug for RootCertificates {
    /// Without the text, which is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootCertificates").finish_non_exhaustive()
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

/// Returns why a server is not trusted, if the error says so. Its own message would name hosts.
pub(crate) fn tls_failure_reason(error: &sqlx::Error) -> Option<&'static str> {
    match error {
        // sqlx finds these before the first byte of TLS.
        sqlx::Error::Tls(error) if error.to_string() == "server does not support TLS" => {
            Some("expected an encrypted connection, the server offers none")
        }
        sqlx::Error::Tls(_) => Some("expected a host name and root certificates that TLS can use"),
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
             (DOWNPIPE_DATABASE_CA names the root certificates of a server that is not RDS's)"
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn root_certificates_of_rds_are_complete() {
        assert_eq!(read(RDS.as_bytes()).unwrap().len(), 87);
    }

    /// The regions in the subjects: `Amazon RDS eu-central-1 Root CA RSA2048 G1`.
    fn regions() -> BTreeSet<String> {
        let region_of = |certificate: CertificateDer<'_>| {
            let text = String::from_utf8_lossy(&certificate).into_owned();
            let (_, subject) = text.split_once("Amazon RDS ").unwrap();
            subject.split_once(" Root CA").unwrap().0.to_owned()
        };
        CertificateDer::pem_slice_iter(RDS.as_bytes())
            .map(|certificate| region_of(certificate.unwrap()))
            .collect()
    }

    #[test]
    fn regions_built_in_are_those_of_the_document() {
        const DOCUMENT: &str = include_str!("../../../../docs/aws.md");
        let regions: Vec<String> = regions()
            .into_iter()
            .filter(|name| !name.contains("Beta") && !name.contains("Preview"))
            .collect();
        let said = "af-south-1, ap-east-1, ap-northeast-1 to -3, ap-south-1 and -2, ap-southeast-1 to -4, ca-central-1, \
                    eu-central-1 and -2, eu-north-1, eu-south-1 and -2, eu-west-1 to -3, me-central-1, me-south-1, sa-east-1, \
                    us-east-1 and -2, us-west-1 and -2";
        assert!(DOCUMENT.replace('\n', " ").contains(said));
        let mut named = Vec::new();
        for words in said.split(", ").map(|words| words.split(' ').collect::<Vec<_>>()) {
            let (area, first) = words[0].rsplit_once('-').unwrap();
            let last = words.last().unwrap().rsplit_once('-').unwrap().1;
            let numbers = first.parse::<u32>().unwrap()..=last.parse().unwrap();
            named.extend(numbers.map(|number| format!("{area}-{number}")));
        }
        assert_eq!(regions, named);
    }

    #[test]
    fn pem_without_readable_certificate_is_refused() {
        let refused = |pem: &str| RootCertificates::from_pem(pem.as_bytes()).unwrap_err().to_string();
        let expected = "expected certificates in PEM, -----BEGIN CERTIFICATE----- and so on, got";
        assert_eq!(refused(""), format!("{expected} none"));
        assert_eq!(refused("/etc/ssl/ca.pem"), format!("{expected} none"));
        let cut = &RDS[..RDS.find("-----END").unwrap()];
        assert!(refused(cut).starts_with(&format!("{expected} certificate 1: ")), "{}", refused(cut));
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refused(hollow).starts_with(&format!("{expected} certificate 1: ")), "{}", refused(hollow));
    }
}
