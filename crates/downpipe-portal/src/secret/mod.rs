//! The portal's secret: the apps that may send people, with their origins, exports and keys.

mod parse;

pub use self::parse::InvalidSecret;

use std::collections::BTreeMap;
use std::fmt;

use downpipe_app::kept_secret::{KeptSecret, SecretForm};
use jsonwebtoken::{Algorithm, DecodingKey};

/// The portal's secret, read again when a request finds it old.
pub type SecretStore = KeptSecret<PortalSecret>;

/// The apps by name.
#[derive(Debug, Clone, Default)]
pub struct PortalSecret {
    apps: BTreeMap<String, App>,
}

/// An app: a site whose server signs tokens for the people that are logged in there.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The origins of its pages.
    pub(crate) origins: Vec<String>,
    /// The exports that its people may ask for.
    pub(crate) exports: Vec<String>,
    /// Its keys: one, or two while one takes the place of the other.
    keys: Vec<AppKey>,
}

/// A key that verifies an app's tokens.
#[derive(Clone)]
pub(crate) struct AppKey {
    /// The name by which a token chooses it.
    kid: String,
    /// The only algorithm for it, whatever a token says.
    pub(crate) algorithm: Algorithm,
    /// The key itself.
    pub(crate) key: DecodingKey,
}

impl SecretForm for PortalSecret {
    const VARIABLE: &'static str = "DOWNPIPE_PORTAL_SECRET";
    type Invalid = InvalidSecret;

    fn parse(text: &str) -> Result<Self, InvalidSecret> {
        parse::parse(text)
    }
}

impl PortalSecret {
    /// Returns the app of this name.
    pub(crate) fn app(&self, name: &str) -> Option<&App> {
        self.apps.get(name)
    }

    /// Returns whether any app has pages of this origin.
    pub(crate) fn lists_origin(&self, origin: &str) -> bool {
        self.apps.values().any(|app| app.origins.iter().any(|listed| listed == origin))
    }
}

impl App {
    /// Returns the key of this name.
    pub(crate) fn key(&self, kid: &str) -> Option<&AppKey> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

impl fmt::Debug for AppKey {
    /// Writes the name and the algorithm, and not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, algorithm, .. } = self;
        f.debug_struct("AppKey").field("kid", kid).field("algorithm", algorithm).finish_non_exhaustive()
    }
}
