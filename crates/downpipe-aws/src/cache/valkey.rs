//! Keeps values in Valkey, as ElastiCache has it: TLS, and tokens of IAM in place of passwords.
//!
//! One connection serves all operations at once. It is replaced before ElastiCache would close it, with a new token; so there is
//! never a token to refresh. A serverless cache is a cluster behind one endpoint that finds the slot of a key itself, and each
//! command here has one key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use bytes::Bytes;
use downpipe_core::cache::{Cache, CacheError, CacheFault};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, ProtocolVersion, RedisConnectionInfo, RedisError,
    ServerErrorKind,
};
use tokio::task::JoinHandle;

use super::address::ValkeyAddress;
use super::limits::CacheLimits;
use super::slot::{Numbered, Slot};
use super::tls::CacheAuthorities;
use super::{KEY_PREFIX, dial};
use crate::iam::{CacheTokens, CannotSign};

/// The commands that are sent after the login.
///
/// The user of the cache may have no others. `AUTH` is always allowed.
pub const VALKEY_COMMANDS: [&str; 3] = ["get", "set", "del"];

/// A cache in Valkey.
#[derive(Debug)]
pub struct ValkeyCache {
    server: Arc<Server>,
    slot: Arc<Slot<Connection>>,
}

/// What a connection needs.
#[derive(Debug)]
struct Server {
    address: ValkeyAddress,
    authorities: CacheAuthorities,
    tokens: CacheTokens,
    limits: CacheLimits,
}

#[derive(Debug, Clone)]
struct Connection {
    client: MultiplexedConnection,
    driver: Arc<Driver>,
    opened: Instant,
}

/// The task that reads and writes. It ends with the last that uses the connection.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ValkeyCache {
    /// Makes a cache that connects when it is first used.
    ///
    /// # Errors
    /// When the settings have no region or no credentials.
    pub fn new(
        address: ValkeyAddress,
        authorities: CacheAuthorities,
        config: &SdkConfig,
        limits: CacheLimits,
    ) -> Result<Self, CannotSign> {
        let server = Server { address, authorities, tokens: CacheTokens::new(config)?, limits };
        Ok(Self { server: Arc::new(server), slot: Slot::new() })
    }

    /// Sends a command, on a new connection if there is none or the server has closed it.
    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, CacheError> {
        if let Some(kept) = self.slot.get(|connection| connection.is_usable(&self.server.limits)) {
            match self.send(kept, command).await {
                Err(error) if error.fault == CacheFault::Connection => {}
                answered => return answered,
            }
        }
        let server = Arc::clone(&self.server);
        let timeout = server.limits.connect;
        let connection = self.slot.connect(timeout, async move { server.connect().await }).await?;
        self.send(connection, command).await
    }

    async fn send<T: FromRedisValue>(
        &self,
        connection: Numbered<Connection>,
        command: &Cmd,
    ) -> Result<T, CacheError> {
        // Also when the caller drops this future: what does not answer in its time may never answer again.
        let mut discard = Discard { slot: &self.slot, connection: Some(connection.clone()) };
        let mut client = connection.connection.client;
        let answer = tokio::time::timeout(self.server.limits.operation, command.query_async(&mut client));
        let result = match answer.await {
            Ok(answer) => answer.map_err(failed),
            Err(elapsed) => Err(CacheError { fault: CacheFault::Timeout, source: elapsed.into() }),
        };
        if let Ok(_) | Err(CacheError { fault: CacheFault::Permission | CacheFault::Refused, .. }) = &result {
            discard.connection = None;
        }
        result
    }
}

/// Discards a connection unless it is proven to work.
struct Discard<'a> {
    slot: &'a Slot<Connection>,
    connection: Option<Numbered<Connection>>,
}

impl Drop for Discard<'_> {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            self.slot.discard(connection);
        }
    }
}

impl Connection {
    fn is_usable(&self, limits: &CacheLimits) -> bool {
        !self.driver.0.is_finished() && self.opened.elapsed() < limits.max_age
    }
}

impl Server {
    /// Connects and logs in. The token goes to a server that has proven its name, and to no other.
    async fn connect(&self) -> Result<Connection, CacheError> {
        let ValkeyAddress { user, server, .. } = &self.address;
        let stream = self.authorities.secure(&server.host, dial::connect(server).await?).await?;
        // Nothing is sent beside AUTH: no HELLO, no SELECT, no CLIENT SETINFO.
        let info =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let opened = Instant::now();
        let (client, driver) =
            MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(failed)?;
        let driver = Arc::new(Driver(tokio::spawn(driver)));
        let mut connection = Connection { client, driver, opened };
        let login = |source| CacheError { fault: CacheFault::Login, source };
        let token = self.tokens.token(&self.address, (self.limits.clock)()).await.map_err(login)?;
        let auth = redis::cmd("AUTH").arg(user).arg(token).exec_async(&mut connection.client).await;
        auth.map_err(|error| match failed(error) {
            CacheError { fault: CacheFault::Refused | CacheFault::Permission, source } => login(source),
            other => other,
        })?;
        Ok(connection)
    }
}

impl Cache for ValkeyCache {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, CacheError> {
        self.run(redis::cmd("GET").arg(prefixed(key))).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.run(redis::cmd("SET").arg(prefixed(key)).arg(&value[..]).arg("PX").arg(millis)).await
    }

    async fn delete(&self, key: &str) -> Result<(), CacheError> {
        let _deleted: u64 = self.run(redis::cmd("DEL").arg(prefixed(key))).await?;
        Ok(())
    }
}

fn prefixed(key: &str) -> String {
    format!("{KEY_PREFIX}{key}")
}

/// Sorts the client's errors. Its words never have a value or a token in them.
fn failed(error: RedisError) -> CacheError {
    let fault = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => CacheFault::Login,
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => CacheFault::Permission,
        (ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType, _) => {
            CacheFault::Refused
        }
        (_, _) if error.is_timeout() => CacheFault::Timeout,
        _ => CacheFault::Connection,
    };
    CacheError { fault, source: error.into() }
}
