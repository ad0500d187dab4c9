//! The search against the plainest way to find the same, on sides made by chance.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Cells = Vec<i64>;

/// Rows in memory. A negative cell is a long text, so that rows weigh something.
struct Held<'a>(&'a [Cells]);

impl Side for Held<'_> {
    fn each(&mut self, row: &mut EachRow<'_>) -> Result<()> {
        let mut form = Form::default();
        for cells in self.0 {
            form.clear();
            for cell in cells {
                match cell {
                    0.. => form.int(*cell),
                    _ => form.text(text(*cell).as_bytes()),
                }
            }
            row(&form, &|i| cells[i].to_string())?;
        }
        Ok(())
    }
}

fn text(cell: i64) -> String {
    format!("{cell:>width$}", width = cell.unsigned_abs() as usize % 1000)
}

fn key(columns: &[usize], width: usize) -> Key {
    Key { columns: columns.to_vec(), names: (0..width).map(|i| format!("c{i}")).collect() }
}

/// What a search found: its totals, and each row.
#[track_caller]
fn search(key: &Key, source: &[Cells], target: &[Cells], rows_max: u64) -> (Differences, Vec<Difference>) {
    let mut found = Vec::new();
    let mut sides = Sides { source: &mut Held(source), target: &mut Held(target) };
    let totals = locate(key, &mut sides, Wanted { rows_max, values: true }, &mut |difference| {
        found.push(difference.clone());
        Ok(())
    });
    (totals.expect("a search"), found)
}

/// Missing, extra and changed rows of each key, by counting.
fn by_counting(key: &[usize], source: &[Cells], target: &[Cells]) -> BTreeMap<Cells, [u64; 3]> {
    let mut balance: BTreeMap<(Cells, &Cells), i64> = BTreeMap::new();
    for (rows, one) in [(source, 1), (target, -1)] {
        for row in rows {
            let of = if key.is_empty() { row.clone() } else { key.iter().map(|&c| row[c]).collect() };
            *balance.entry((of, row)).or_default() += one;
        }
    }
    let mut sums: BTreeMap<Cells, [u64; 2]> = BTreeMap::new();
    for ((of, _), count) in balance {
        let sum = sums.entry(of).or_default();
        sum[usize::from(count < 0)] += count.unsigned_abs();
    }
    let words = |[missing, extra]: [u64; 2]| {
        let changed = if key.is_empty() { 0 } else { missing.min(extra) };
        [missing - changed, extra - changed, changed]
    };
    sums.into_iter().map(|(of, sum)| (of, words(sum))).filter(|(_, words)| *words != [0; 3]).collect()
}

#[track_caller]
fn check(columns: &[usize], source: &[Cells], target: &[Cells]) {
    let width = source.iter().chain(target).map(Vec::len).max().unwrap_or(1);
    let key = key(columns, width);
    let expect = by_counting(columns, source, target);
    let sum = |n: usize| expect.values().map(|words| words[n]).sum::<u64>();
    let (totals, found) = search(&key, source, target, u64::MAX);
    assert_eq!([totals.missing, totals.extra, totals.changed], [sum(0), sum(1), sum(2)]);
    assert!(totals.complete);

    let mut told: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for d in &found {
        *told.entry((d.key.clone(), d.kind.word())).or_default() += 1;
    }
    let mut wanted: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for (of, words) in &expect {
        let shown = |cell: &i64| match cell {
            0.. => cell.to_string(),
            _ => show::quoted(&text(*cell)),
        };
        let words_of = |(c, cell): (&usize, &i64)| format!("c{c}={}", shown(cell));
        let name = columns.iter().zip(of).map(words_of).collect::<Vec<_>>().join(", ");
        for (kind, n) in ["missing", "extra", "changed"].into_iter().zip(words).filter(|(_, n)| **n > 0) {
            *wanted.entry((name.clone(), kind)).or_default() += n;
        }
    }
    assert_eq!(told, wanted);
    // A changed row has changed cells, a cell that is told has changed, and the key is none of them.
    for difference in found.iter().filter(|d| d.kind == Kind::Changed) {
        assert!(!difference.cells.is_empty());
        assert!(
            difference
                .cells
                .iter()
                .all(|c| c.source != c.target && !columns.iter().any(|k| c.column == format!("c{k}")))
        );
    }
    let cells: u64 = found.iter().filter(|d| d.kind == Kind::Changed).map(|d| d.cells.len() as u64).sum();
    assert_eq!(totals.columns.iter().map(|(_, n)| n).sum::<u64>(), cells);

    // Cut at any number, it finds that many, and says that there is more.
    let all = sum(0) + sum(1) + sum(2);
    for rows_max in [1, all / 2, all.saturating_sub(1), all, all + 1].into_iter().filter(|n| *n > 0) {
        let (totals, found) = search(&key, source, target, rows_max);
        assert_eq!(found.len() as u64, all.min(rows_max));
        assert_eq!(totals.missing + totals.extra + totals.changed, all.min(rows_max));
        assert_eq!(totals.complete, rows_max >= all, "{rows_max} of {all}");
    }
}

fn rows() -> impl Strategy<Value = Vec<Cells>> {
    prop::collection::vec(prop::collection::vec(-3..4_i64, 3), 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_counting_finds(
        source in rows(),
        edits in prop::collection::vec((0..24_usize, 0..3_usize, -3..4_i64, 0..4_u8), 0..8),
        columns in prop::sample::select(vec![vec![], vec![0], vec![1, 0], vec![2]]),
    ) {
        let mut target = source.clone();
        for (row, cell, value, what) in edits {
            match what {
                _ if target.is_empty() => target.push(vec![value; 3]),
                0 => drop(target.remove(row % target.len())),
                1 => target.push(target[row % target.len()].clone()),
                2 => target.push(vec![value, cell as i64, value]),
                _ => {
                    let row = row % target.len();
                    target[row][cell] = value;
                }
            }
        }
        target.reverse();
        check(&columns, &source, &target);
    }

    #[test]
    fn two_sides_that_have_nothing_to_do_with_each_other(source in rows(), target in rows()) {
        check(&[], &source, &target);
        check(&[0], &source, &target);
    }
}

#[test]
fn more_than_can_be_held_is_found_in_several_readings() {
    let source: Vec<Cells> = (0..30_000).map(|i| vec![i, -900 - i % 7, i]).collect();
    let target: Vec<Cells> = source.iter().map(|row| vec![row[0], row[1], row[2] + 1]).collect();
    let (totals, found) = search(&key(&[0], 3), &source, &target, u64::MAX);
    assert_eq!((totals.changed, totals.missing, totals.extra, totals.complete), (30_000, 0, 0, true));
    assert_eq!(totals.columns, [("c2".to_owned(), 30_000)]);
    let mut keys: Vec<&String> = found.iter().map(|d| &d.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 30_000, "each key once");
}

#[test]
fn more_rows_than_hashes_are_held_for_are_found_in_several_groups() {
    let source: Vec<Cells> = (0..160_000).map(|i| vec![i, i]).collect();
    let target: Vec<Cells> = (0..160_000).map(|i| vec![i, i + i64::from(i % 2 == 0)]).collect();
    let (totals, found) = search(&key(&[0], 2), &source, &target, 50);
    assert_eq!((totals.changed, found.len(), totals.complete), (50, 50, false));
    let (totals, _) = search(&key(&[], 2), &source, &target, 140_000);
    assert_eq!((totals.missing + totals.extra, totals.complete), (140_000, false));
}

#[test]
fn rows_of_one_key_without_end_differ_by_few() {
    let source: Vec<Cells> = (0..100_000).map(|i| vec![1, i]).collect();
    let mut target = source.clone();
    target[77][1] = 7_000_000;
    target.push(vec![2, 2]);
    let (totals, found) = search(&key(&[0], 2), &source, &target, u64::MAX);
    assert_eq!((totals.changed, totals.extra, totals.missing), (1, 1, 0));
    let changed = found.iter().find(|d| d.kind == Kind::Changed).expect("it was counted");
    assert_eq!((changed.cells[0].source.as_deref(), changed.cells[0].target.as_deref()), (Some("77"), Some("7000000")));
}
