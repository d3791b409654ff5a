//! Where the stack keeps its files.

use std::path::{Path, PathBuf};

/// The name of MiniStack, and of its environment, which has botocore.
pub(super) const MINISTACK: &str = "ministack";
/// The name of LocalStack, and of its environment, which has cfn-lint.
pub(super) const LOCALSTACK: &str = "localstack";

/// The folders of one stack, all below `target/stack` of a workspace.
#[derive(Clone, Debug)]
pub struct Paths {
    stack: PathBuf,
}

impl Paths {
    /// Returns the stack of the workspace that this program was built in.
    pub fn of_workspace() -> Self {
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        // `crates/xtask` lies two levels below the root; a shallower path cannot be this workspace.
        Self::under(crate_dir.ancestors().nth(2).unwrap_or(crate_dir))
    }

    /// Returns the stack of the workspace at `root`; it has to be an absolute path, as it ends up in scripts.
    pub fn under(root: &Path) -> Self {
        Self { stack: root.join("target/stack") }
    }

    /// Returns the folder that holds all others.
    pub fn stack(&self) -> &Path {
        &self.stack
    }

    /// Returns the file that a shell can source, written by `up`.
    pub fn env_file(&self) -> PathBuf {
        self.stack.join("env")
    }

    /// Commands for people and tests, such as an `aws` that speaks to the stack.
    pub fn bin(&self) -> PathBuf {
        self.stack.join("bin")
    }

    /// Returns the folder of logs: what the parts and their installers print.
    pub fn logs(&self) -> PathBuf {
        self.stack.join("logs")
    }

    /// Which process and port belong to which part.
    pub fn run(&self) -> PathBuf {
        self.stack.join("run")
    }

    /// Returns the folder of what the parts write while they run; nothing in it survives a start.
    pub fn state(&self) -> PathBuf {
        self.stack.join("state")
    }

    /// Who has issued the certificate of the stack's own MySQL.
    pub(super) fn database_ca(&self) -> PathBuf {
        self.stack.join("database-ca.pem")
    }

    /// Who has issued the certificate of the stack's Valkey.
    pub(super) fn cache_ca(&self) -> PathBuf {
        self.stack.join("cache-ca.pem")
    }

    /// Returns the lock that `up` and `down` hold.
    pub(super) fn lock_file(&self) -> PathBuf {
        self.stack.join("lock")
    }

    /// Returns the log of one part or installer.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Returns the virtual environment of one part.
    pub(super) fn venv(&self, name: &str) -> PathBuf {
        self.stack.join(name)
    }
}
