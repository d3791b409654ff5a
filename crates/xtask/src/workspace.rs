//! Where this workspace lies.

use std::path::{Path, PathBuf};

/// Returns the folder with the workspace's `Cargo.toml`.
pub fn root() -> &'static Path {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    // `crates/xtask` lies two levels below the root; a shallower path cannot be this workspace.
    crate_dir.ancestors().nth(2).unwrap_or(crate_dir)
}

/// Returns a file of the workspace, by its path from the root.
pub fn path(relative: &str) -> PathBuf {
    root().join(relative)
}
