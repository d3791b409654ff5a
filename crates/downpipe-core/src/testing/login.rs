//! A login that is known beforehand.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::login::{Freshness, Login, LoginError, LoginSource};

/// Gives the same login every time, and counts how often a fresh one was asked for.
#[derive(Debug)]
pub struct FixedLogin {
    login: Login,
    refetched: AtomicUsize,
}

impl FixedLogin {
    /// A source of this login.
    #[must_use]
    pub fn new(login: Login) -> Self {
        Self { login, refetched: AtomicUsize::new(0) }
    }

    /// How often [`Freshness::Refetched`] was asked for.
    #[must_use]
    pub fn refetched(&self) -> usize {
        self.refetched.load(Ordering::Relaxed)
    }
}

impl LoginSource for FixedLogin {
    async fn login(&self, freshness: Freshness) -> Result<Login, LoginError> {
        if freshness == Freshness::Refetched {
            self.refetched.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.login.clone())
    }
}
