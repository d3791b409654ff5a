//! The stack's Valkey: the machine's own, or in a small Debian root of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::stack::{
    certificate, health,
    home::{self, Home, Package},
    part::Part,
    paths::Paths,
    step::Steps,
};

/// What the product's user may do, as in `infra/cache.yaml`.
pub const ACL: [&str; 6] = ["on", "~downpipe:*", "-@all", "+get", "+set", "+del"];

/// The product's user. The judge logs in as it with the password.
///
/// The password protects nothing: the server listens on the loopback address only.
pub(super) const USER: &str = "downpipe";
pub(super) const PASSWORD: &str = "downpipe";
/// The user of tests that prepare or inspect what the product's user may not.
pub(super) const ADMINISTRATOR: &str = "administrator";

pub(super) const SERVER: &str = "valkey-server";
pub(super) const CLIENT: &str = "valkey-cli";

/// A Valkey of the stack.
pub(in crate::stack) struct Valkey {
    authority: PathBuf,
}

impl Valkey {
    pub(in crate::stack) fn of(paths: &Paths) -> Self {
        Self { authority: paths.cache_ca() }
    }

    /// Returns the folders that may hold its files.
    pub(in crate::stack) fn folders(paths: &Paths) -> [PathBuf; 2] {
        home::all(&package(), paths).map(|home| home.outside(""))
    }
}

pub(super) fn package() -> Package {
    Package {
        name: "valkey",
        title: "Valkey 9",
        suite: "sid",
        packages: "valkey-server,valkey-tools",
        programs: &[SERVER, CLIENT],
        is_meant_by: |version| version.contains("v=9"),
        alternatives: format!("or install {SERVER}, version 9, so that it is on the path"),
    }
}

impl Part for Valkey {
    fn name(&self) -> &'static str {
        "valkey"
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        let home = Home::ensure(&package(), paths, steps)?;
        certificate::ensure(&home, &self.authority)
    }

    fn command(&self, paths: &Paths, port: u16) -> Result<Command> {
        let home = Home::find(&package(), paths)?;
        Ok(server_command(&home, &home.inside(""), port))
    }

    fn check(&self, address: &str) -> Result<()> {
        health::valkey_refusal(address, &self.authority)
    }
}

/// Returns the server on its folder, named as the server sees it.
pub(super) fn server_command(home: &Home, folder: &Path, port: u16) -> Command {
    let mut command = home.program(SERVER);
    command.args(["--port", "0", "--tls-port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.arg("--tls-cert-file").arg(home.inside(certificate::CERTIFICATE));
    command.arg("--tls-key-file").arg(home.inside(certificate::KEY));
    command.args(["--tls-auth-clients", "no"]);
    command.arg("--dir").arg(folder);
    // Nothing survives a restart, as in a cache of ElastiCache.
    command.args(["--save", "", "--appendonly", "no"]);
    command.args(["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    command.args(["--user", "default", "off", "nocommands"]);
    command.args(["--user", USER]).args(ACL).arg(format!(">{PASSWORD}"));
    command.args(["--user", ADMINISTRATOR, "on", "~*", "&*", "+@all", &format!(">{PASSWORD}")]);
    command
}
