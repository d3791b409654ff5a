//! `encode CASE ROWS`: runs one of the inner loops for so many rows and prints the number of bytes.
//! Without arguments it lists the cases. A profiler counts its instructions.

use std::env;

use anyhow::{Context, Result};
use downpipe_bench::cases::{Case, NAMES};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let Some(name) = args.next() else {
        NAMES.iter().for_each(|name| println!("{name}"));
        return Ok(());
    };
    let case = Case::named(&name)
        .with_context(|| format!("CASE: expected one of {}, got {name:?}", NAMES.join(", ")))?;
    let rows = args.next().context("usage: encode CASE ROWS")?;
    let rows = rows.parse().with_context(|| format!("ROWS: expected a whole number, got {rows:?}"))?;
    println!("{}", case.run(rows));
    Ok(())
}
