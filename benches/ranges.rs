//! What does it cost to cut a table's keys into ranges, and to find what an earlier start has left of them?

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lite2pg::model::range::Range;
use std::hint::black_box;

fn measure(c: &mut Criterion) {
    let mut group = c.benchmark_group("ranges");
    for parts in [16, 1024] {
        let cut = || Range::ALL.split(black_box(1), black_box(50_000_000), parts);
        let done: Vec<Range> = cut().into_iter().step_by(2).collect();
        group.bench_function(BenchmarkId::new("split", parts), |b| b.iter(cut));
        group.bench_function(BenchmarkId::new("minus", parts), |b| b.iter(|| Range::ALL.minus(black_box(&done))));
        let all = cut();
        group.bench_function(BenchmarkId::new("tile_all", parts), |b| b.iter(|| Range::tile_all(black_box(&all))));
    }
}

criterion_group!(benches, measure);
criterion_main!(benches);
