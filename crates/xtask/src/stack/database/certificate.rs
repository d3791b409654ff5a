//! The server's certificate. A login from a secret goes only to a server that is verified, here as on AWS.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::home::Home;
use crate::stack::{install, paths::Paths};

pub(super) const CERTIFICATE: &str = "server-certificate.pem";
pub(super) const KEY: &str = "server-key.pem";

/// Every name of this machine's own that somebody may connect with.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes a certificate authority and the certificate it issues, unless both are there. Nobody needs the authority's key a
/// second time, so it is not kept.
pub(super) fn ensure(home: &Home, paths: &Paths) -> Result<()> {
    let [certificate, key] = [CERTIFICATE, KEY].map(|file| home.outside(file));
    if paths.database_ca().exists() && certificate.exists() && key.exists() {
        return Ok(());
    }
    // The authority last: its file says that the other two are there.
    install::remove_file(&paths.database_ca())?;
    let made = make().context("cannot make a certificate for the database")?;
    install::write_whole(&key, &made.key, 0o600)?;
    install::write_whole(&certificate, &made.certificate, 0o644)?;
    install::write_whole(&paths.database_ca(), &made.authority, 0o644)
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

    fn certificate(paths: &Paths, home: &Home) -> [String; 3] {
        [paths.database_ca(), home.outside(CERTIFICATE), home.outside(KEY)]
            .map(|path| fs::read_to_string(path).unwrap())
    }

    #[test]
    fn a_certificate_is_made_once_and_anew_when_a_file_of_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (paths, home) = (Paths::under(dir.path()), Home::Machine { folder: dir.path().join("mysql") });
        ensure(&home, &paths).unwrap();
        let first = certificate(&paths, &home);
        ensure(&home, &paths).unwrap();
        assert_eq!(certificate(&paths, &home), first);
        fs::remove_file(home.outside(KEY)).unwrap();
        ensure(&home, &paths).unwrap();
        let second = certificate(&paths, &home);
        assert!((0..3).all(|index| first[index] != second[index]));
    }
}
