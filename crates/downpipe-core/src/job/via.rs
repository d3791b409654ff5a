//! How requests reach Downpipe.

use std::str::FromStr;

use serde::{Serialize, Serializer};

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Via {
    /// As a message on the queue.
    #[default]
    Queue,
    /// From the portal's page.
    Page,
    /// From the portal's API, by a person's own login.
    Api,
    /// From the portal's API, by a token of an app.
    App,
}

impl Via {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Page, Self::Api, Self::App];

    /// Returns the way's name, in the ledger and for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Page => "page",
            Self::Api => "api",
            Self::App => "app",
        }
    }
}

impl Serialize for Via {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl FromStr for Via {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let via = Self::ALL.into_iter().find(|via| via.as_str() == name);
        via.ok_or_else(|| format!("expected queue, page, api or app, got {name:?}"))
    }
}
