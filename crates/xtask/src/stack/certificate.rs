//! The certificates of the stack's servers.
//!
//! A secret or a token goes only to a server that is verified, here as on AWS.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::{home::Home, install};

pub(super) const CERTIFICATE: &str = "server-certificate.pem";
pub(super) const KEY: &str = "server-key.pem";

/// Every name by which this machine reaches itself.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes a certificate authority and the certificate it issues, unless both are there. The authority's key is not kept, because it
/// issues no second certificate.
pub(super) fn ensure(home: &Home, authority: &Path) -> Result<()> {
    let [certificate, key] = [CERTIFICATE, KEY].map(|file| home.outside(file));
    if authority.exists() && certificate.exists() && key.exists() {
        return Ok(());
    }
    // The authority last: its file says that the other two are there.
    install::remove_file(authority)?;
    let made = make().context("cannot make a certificate for a server")?;
    install::write_whole(&key, &made.key, 0o600)?;
    install::write_whole(&certificate, &made.certificate, 0o644)?;
    install::write_whole(authority, &made.authority, 0o644)
}

/// Three files, in PEM.
struct Made {
    authority: String,
    certificate: String,
    key: String,
}

fn make() -> Result<Made, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Downpipe's local stack");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?;
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(NAMES.map(str::to_owned))?;
    let certificate = server.signed_by(&key, &Issuer::new(params, authority_key))?;
    Ok(Made { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn certificate(authority: &Path, home: &Home) -> [String; 3] {
        [authority.to_owned(), home.outside(CERTIFICATE), home.outside(KEY)]
            .map(|path| fs::read_to_string(path).unwrap())
    }

    #[test]
    fn certificate_is_made_again_when_a_file_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (authority, home) =
            (dir.path().join("ca.pem"), Home::Machine { folder: dir.path().join("mysql") });
        ensure(&home, &authority).unwrap();
        let first = certificate(&authority, &home);
        ensure(&home, &authority).unwrap();
        assert_eq!(certificate(&authority, &home), first);
        fs::remove_file(home.outside(KEY)).unwrap();
        ensure(&home, &authority).unwrap();
        let second = certificate(&authority, &home);
        assert!((0..3).all(|index| first[index] != second[index]));
    }
}
