//! `cargo xtask package`: the zip for Lambda.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::stack::Steps;
use crate::{cargo, deploy, workspace};

/// The C library of Amazon Linux 2023, on which the runtime `provided.al2023` runs.
const GLIBC_OF_LAMBDA: (u32, u32) = (2, 34);

/// Builds the worker, makes sure that it will start on Lambda, and packs it with the definitions in `exports/`.
pub fn run() -> Result<()> {
    let built = cargo::build(&["--release", "-p", "downpipe-lambda", "--bin", "bootstrap"], &Steps::start())?;
    let bootstrap = built.path("bootstrap")?;
    let glibc = newest_glibc(bootstrap)?;
    ensure!(
        glibc <= GLIBC_OF_LAMBDA,
        "the worker needs glibc {}.{}, and Lambda has {}.{}: build it on an older system, or with `cargo lambda build`",
        glibc.0,
        glibc.1,
        GLIBC_OF_LAMBDA.0,
        GLIBC_OF_LAMBDA.1
    );
    let zip = cargo::target_dir()?.join("package/downpipe.zip");
    let bytes = deploy::package_for_lambda(bootstrap, &workspace::path("exports"), &zip)?;
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
