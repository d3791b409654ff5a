//! Real database servers: given ones, the machine's own, or each in a small Debian root of its own.

mod client;
mod external;
mod launch;
mod private;
mod product;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

pub(super) use self::external::External;
pub use self::{client::Client, private::PrivateServer, product::Server};
use super::{
    certificate, health,
    home::{self, Home},
    install,
    part::Part,
    paths::Paths,
    step::Steps,
};

impl Server {
    /// Returns the folders that may hold databases.
    pub(super) fn data_dirs(self, paths: &Paths) -> [PathBuf; 2] {
        home::all(&self.package(), paths).map(|home| home.outside(launch::DATA))
    }
}

impl Part for Server {
    fn name(&self) -> &'static str {
        self.product().name
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        let home = Home::ensure(&self.package(), paths, steps)?;
        let pristine = home.outside(launch::PRISTINE_DATA);
        if !pristine.exists() {
            steps.say(self.name(), "prepares an empty data folder");
            // Under another name until it is whole: an interrupted preparation must not be taken for a
            // database.
            let partial = home.outside(launch::PARTIAL_DATA);
            install::empty_dir(&partial)?;
            let mut command = launch::initialize_command(*self, &home, &home.inside(launch::PARTIAL_DATA));
            install::run(&mut command, &paths.log(&format!("{}-initialize", self.name())))?;
            fs::rename(&partial, &pristine)
                .with_context(|| format!("cannot create {}", pristine.display()))?;
        }
        let data = home.outside(launch::DATA);
        if !data.exists() {
            launch::copy(&pristine, &data)?;
        }
        if *self == Self::MySql {
            certificate::ensure(&home, &paths.database_ca())?;
        }
        install::write_whole(&home.outside(launch::INIT_FILE_NAME), launch::INIT_FILE, 0o644)
    }

    fn command(&self, paths: &Paths, port: u16) -> Result<Command> {
        let home = Home::find(&self.package(), paths)?;
        Ok(launch::server_command(*self, &home, &home.inside(launch::DATA), port))
    }

    fn check(&self, address: &str) -> Result<()> {
        health::mysql_greeting(address).map(drop)
    }

    /// Returns whether the log says that the server is ready. It says so after the init file has run; before that the account may be missing.
    fn has_started(&self, log: &Path) -> bool {
        super::log::text(log).contains(launch::READY)
    }
}
