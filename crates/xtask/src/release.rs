//! `cargo xtask package`: the zips for Lambda.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::stack::Steps;
use crate::{cargo, deploy, workspace};

/// The C library of Amazon Linux 2023, on which the runtime `provided.al2023` runs.
const GLIBC_OF_LAMBDA: (u32, u32) = (2, 34);

/// Builds worker and portal, makes sure that they will start on Lambda, and packs each with the definitions in `exports/`.
pub fn run() -> Result<()> {
    let bins = ["--bin", "bootstrap", "--bin", "portal-bootstrap"];
    let build = [&["--release", "-p", "downpipe-lambda"], &bins[..]].concat();
    let built = cargo::build(&build, &Steps::start())?;
    pack(built.path("bootstrap")?, "downpipe.zip", deploy::MAX_WORKER_BYTES)?;
    pack(built.path("portal-bootstrap")?, "portal.zip", deploy::MAX_PORTAL_BYTES)
}

/// Packs a program, which has the name `bootstrap` in its zip.
fn pack(program: &Path, zip: &str, max_bytes: u64) -> Result<()> {
    let glibc = newest_glibc(program)?;
    ensure!(
        glibc <= GLIBC_OF_LAMBDA,
        "{} needs glibc {}.{}, and Lambda has {}.{}: build it on an older system, or with `cargo lambda build`",
        program.display(),
        glibc.0,
        glibc.1,
        GLIBC_OF_LAMBDA.0,
        GLIBC_OF_LAMBDA.1
    );
    let zip = cargo::target_dir()?.join("package").join(zip);
    let bytes = deploy::package_for_lambda(program, &workspace::path("exports"), &zip, max_bytes)?;
    println!("{} ({}.{} MB)", zip.display(), bytes / 1_000_000, bytes / 100_000 % 10);
    Ok(())
}

/// Returns the newest version that the program's symbols ask for: they name it as text, `GLIBC_2.34`.
fn newest_glibc(program: &Path) -> Result<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_2.";
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let minor = |at: usize| {
        let digits = bytes[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number: u32, digit| number * 10 + u32::from(digit - b'0'))
    };
    let marks = (0..bytes.len().saturating_sub(MARK.len())).filter(|at| bytes[*at..].starts_with(MARK));
    Ok((2, marks.map(minor).max().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_glibc_is_found_among_others() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0GLIBC_PRIVATE\0").unwrap();
        assert_eq!(newest_glibc(file.path()).unwrap(), (2, 34));
    }
}
