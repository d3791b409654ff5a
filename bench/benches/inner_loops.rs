//! Measures the inner loops: every kind of value, profile, format and compression.
//!
//! `cargo bench --manifest-path bench/Cargo.toml --bench inner_loops -- csv-date` measures some of
//! them.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use downpipe_bench::cases::{Case, NAMES};

const ROWS: u32 = 5000;

fn inner_loops(criterion: &mut Criterion) {
    for name in NAMES {
        let case = Case::named(name).expect("it is one of those there are");
        let mut group = criterion.benchmark_group("rows");
        group.throughput(Throughput::Bytes(case.run(ROWS)));
        group.bench_function(name, |bencher| bencher.iter(|| case.run(ROWS)));
        group.finish();
    }
}

criterion_group!(benches, inner_loops);
criterion_main!(benches);
