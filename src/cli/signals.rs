//! SIGINT and SIGTERM ask the run to end; a second one ends the process at once.

use crate::error::{Error, Kind, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A flag that the first signal sets.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let refused = |e| Error::new(Kind::Failed, "signals cannot be handled").cause(e);
        // In this order the first signal finds the flag still down: only the second ends the process.
        let code = i32::from(Kind::Interrupted.exit_code());
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop)).map_err(refused)?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(refused)?;
    }
    Ok(stop)
}
