//! Signatures of tokens, by the crypto library that the database and AWS connections use.
//!
//! The library for tokens leaves signatures to its caller. Its own choices would bring a second crypto library, or one with a
//! known weakness (RUSTSEC-2023-0071).

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self as jwt, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::{hmac, signature};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Lets the library verify signatures. It may be called any number of times.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Only this crate uses the library, so that no other provider is in its place.
        let _ = PROVIDER.install_default();
    });
}

/// The portal signs no tokens.
fn signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.try_get_as_bytes()?.to_vec() }))
}

struct RingVerifier {
    algorithm: Algorithm,
    key: Vec<u8>,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), jwt::Error> {
        let asymmetric = |algorithm: &'static dyn signature::VerificationAlgorithm| {
            signature::UnparsedPublicKey::new(algorithm, &self.key).verify(message, signed)
        };
        let verified = match self.algorithm {
            Algorithm::HS256 => hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), message, signed),
            Algorithm::ES256 => asymmetric(&signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::EdDSA => asymmetric(&signature::ED25519),
            Algorithm::RS256 => asymmetric(&signature::RSA_PKCS1_2048_8192_SHA256),
            _ => return Err(jwt::Error::new()),
        };
        verified.map_err(|_| jwt::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
