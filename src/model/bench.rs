//! What a bench measures: strategies under settings, their times, and what follows for a whole run.

use super::check::Race;
use serde::Serialize;

/// A way to bring rows into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// `COPY … (FORMAT binary)`: what `migrate` does.
    BinaryCopy,
    /// `COPY` in its text format.
    TextCopy,
    /// `INSERT … VALUES` of many rows, as literals.
    Insert,
}

impl Strategy {
    /// The words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::BinaryCopy => "binary COPY",
            Self::TextCopy => "text COPY",
            Self::Insert => "multi-row INSERT",
        }
    }
}

/// One combination that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// How rows travel.
    pub strategy: Strategy,
    /// Readers and connections at work at once.
    pub lanes: usize,
    /// Bytes that are sent at once, or put into one statement.
    pub batch_bytes: usize,
}

/// A combination and its times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The combination.
    #[serde(flatten)]
    pub setting: Setting,
    /// Wall time of each round, in microseconds.
    pub rounds_us: Vec<u64>,
    /// The median of them.
    pub median_us: u64,
    /// The median as a multiple of the best combination's.
    pub ratio: f64,
}

/// The rows that every combination loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SampleSize {
    /// Tables with rows.
    pub tables: u64,
    /// Rows that are loaded.
    pub rows: u64,
    /// Bytes of their cells.
    pub bytes: u64,
    /// Rows of the source, counted or estimated.
    pub rows_total: u64,
    /// Bytes of the source's cells, estimated.
    pub bytes_total: u64,
    /// The sample is all rows.
    pub whole: bool,
}

/// What a whole `migrate` of the source is expected to take on this server, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Prediction {
    /// Opening the source, reading rows to decide types, asking the server: measured, not predicted.
    pub prepare_ms: u64,
    /// The rows.
    pub copy_ms: u64,
    /// Keys and indexes.
    pub index_ms: u64,
    /// Foreign keys.
    pub constrain_ms: u64,
    /// Statistics, and the rows counted back.
    pub analyze_ms: u64,
}

impl Prediction {
    /// The whole run. An application must not write to the source meanwhile, so that this is the downtime too.
    #[must_use]
    pub const fn whole_ms(&self) -> u64 {
        self.prepare_ms + self.copy_ms + self.index_ms + self.constrain_ms + self.analyze_ms
    }
}

/// The result of a bench.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// The server's version.
    pub server: String,
    /// Whether lite2pg started the server for this.
    pub embedded: bool,
    /// The rows that were loaded.
    pub sample: SampleSize,
    /// Each combination, strategies first, then lanes, then batches; each once.
    pub results: Vec<Measured>,
    /// The combination of `migrate`'s own strategy that is recommended.
    pub advice: Setting,
    /// What a whole run takes under it.
    pub prediction: Prediction,
    /// What came of it, where it was carried out: for queries, or through a pipeline.
    pub whole: Option<Whole>,
}

/// All rows migrated, and queries asked of both databases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Whole {
    /// By a pipeline, of which the combinations and the prediction know nothing.
    pub pipeline: bool,
    /// Rows on the target.
    pub rows: u64,
    /// Rows that were set aside.
    pub rejected: u64,
    /// From the beginning to the end, milliseconds; both sides were not compared.
    pub ms: u64,
    /// Each query on either side, warm.
    pub queries: Vec<Race>,
}

/// The middle of some times; of an even number, the lower of the two in the middle.
#[must_use]
pub fn median(times: &[u64]) -> u64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// The fewest lanes, then the batch nearest to `usual`, among the binary COPYs that are within `slack` of the
/// fastest of them: a difference that small may be noise.
#[must_use]
pub fn advice(results: &[Measured], usual: usize, slack: f64) -> Option<Setting> {
    let ours = || results.iter().filter(|r| r.setting.strategy == Strategy::BinaryCopy);
    let best = ours().map(|r| r.median_us).min()?;
    let near = ours().filter(|r| r.median_us as f64 <= best as f64 * (1.0 + slack));
    near.map(|r| r.setting).min_by_key(|s| (s.lanes, s.batch_bytes.abs_diff(usual)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(strategy: Strategy, lanes: usize, batch_bytes: usize, median_us: u64) -> Measured {
        let setting = Setting { strategy, lanes, batch_bytes };
        Measured { setting, rounds_us: vec![median_us], median_us, ratio: 1.0 }
    }

    #[test]
    fn the_middle_of_some_times_is_one_of_them() {
        assert_eq!([median(&[]), median(&[7]), median(&[9, 1]), median(&[9, 1, 5])], [0, 7, 1, 5]);
    }

    #[test]
    fn within_noise_fewer_lanes_and_the_usual_batch_are_advised() {
        let results = [
            measured(Strategy::BinaryCopy, 1, 8, 150),
            measured(Strategy::BinaryCopy, 2, 8, 101),
            measured(Strategy::BinaryCopy, 4, 8, 100),
            measured(Strategy::BinaryCopy, 2, 4, 100),
            measured(Strategy::Insert, 1, 8, 1),
        ];
        let advised = advice(&results, 8, 0.05);
        assert_eq!(advised, Some(Setting { strategy: Strategy::BinaryCopy, lanes: 2, batch_bytes: 8 }));
        assert_eq!(advice(&results[4..], 8, 0.05), None);
    }
}
