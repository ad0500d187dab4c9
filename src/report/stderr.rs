//! Lines for stderr. Who does not listen any more, as in `2>&1 | head`, is no reason to stop.

use std::io::Write as _;

/// Writes a line.
pub fn line(text: &str) {
    // `eprintln!` would panic where nobody reads.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes text that ends its own lines.
pub fn text(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
