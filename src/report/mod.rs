//! Events and results become words: progress on stderr, results on stdout, errors with their way out.
//!
//! The only floor beside `cli` that prints. Knows nothing of either database.

pub mod bench;
pub mod checks;
pub mod faces;
pub mod init;
pub mod inspection;
pub mod layout;
mod losses;
pub mod message;
pub mod metrics;
pub mod page;
pub mod plan;
pub mod plot;
pub mod progress;
pub mod rehearsal;
pub mod rejected;
pub mod restored;
pub mod status;
pub mod stderr;
pub mod summary;
pub mod verification;
