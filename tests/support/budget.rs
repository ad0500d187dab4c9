//! Input made by chance, for as long as there is time: `LITE2PG_FUZZ_SECONDS` for each kind of input, two by default.
//!
//! The seed is printed at the start and with a failure; `LITE2PG_SEED` begins with it again.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SECONDS: u64 = 2;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `test` on one value after the other; at least on one. A value that fails is made smaller before it is shown.
pub fn for_a_while<S: Strategy>(what: &str, values: S, test: impl Fn(S::Value) -> Result<(), String>) {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos() as u64;
    let first = variable("LITE2PG_SEED").unwrap_or_else(now);
    let end = Instant::now() + Duration::from_secs(variable("LITE2PG_FUZZ_SECONDS").unwrap_or(SECONDS));
    // Past the harness, which keeps what is printed until a test has failed: a crash would take it along.
    let _ = writeln!(std::io::stderr(), "{what}: LITE2PG_SEED={first}");
    let mut cases = 0;
    while cases == 0 || Instant::now() < end {
        let seed = first.wrapping_add(cases);
        cases += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        match runner.run(&values, |value| test(value).map_err(TestCaseError::fail)) {
            Ok(()) => {}
            Err(TestError::Fail(why, value)) => panic!("{what}: LITE2PG_SEED={seed}: {why}\n{value:?}"),
            Err(e) => panic!("{what}: LITE2PG_SEED={seed}: {e}"),
        }
    }
    let _ = writeln!(std::io::stderr(), "{what}: {cases} cases");
}
