//! Real caches: Valkey, a judge of tokens before it, and Memcached.

mod judge;
mod memcached;
mod private;
mod valkey;

pub(super) use self::judge::Judge;
pub use self::judge::{CacheJudge, JudgeOptions};
pub(super) use self::memcached::Memcached;
pub use self::private::PrivateValkey;
pub use self::valkey::ACL;
pub(super) use self::valkey::Valkey;

use anyhow::Result;

use super::{
    caches::Caches,
    env::StackEnv,
    part::{self, address},
    paths::Paths,
    step::Steps,
};

/// The servers that run so far.
pub(super) enum Servers {
    /// Those of an earlier time, which stay usable.
    Earlier(Option<Caches>),
    /// Their ports.
    Started { valkey: u16, memcached: u16 },
}

impl Servers {
    /// Starts none.
    pub(super) fn earlier(paths: &Paths) -> Self {
        Self::Earlier(StackEnv::read(paths).ok().and_then(|env| env.caches))
    }

    /// Starts Valkey and Memcached.
    pub(super) fn start(paths: &Paths, steps: &Steps) -> Result<Self> {
        let memcached = part::bring_up(&Memcached, paths, steps)?;
        let valkey = part::bring_up(&Valkey::of(paths), paths, steps)?;
        Ok(Self::Started { valkey, memcached })
    }

    /// Starts the judge before Valkey, and returns how to reach all of them.
    pub(super) fn judged(self, paths: &Paths, steps: &Steps) -> Result<Option<Caches>> {
        let (valkey, memcached) = match self {
            Self::Earlier(caches) => return Ok(caches),
            Self::Started { valkey, memcached } => (valkey, memcached),
        };
        let judge = part::bring_up(&Judge::of(paths, valkey), paths, steps)?;
        Ok(Some(Caches {
            valkey_url: Judge::url(judge),
            valkey_address: address(valkey),
            authority: paths.cache_ca(),
            memcached_url: format!("memcached://{}", address(memcached)),
        }))
    }
}
