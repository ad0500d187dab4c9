//! The pure values that every floor speaks in: names, cells, types, catalogs, plans, ranges, events.
//!
//! Owns no connection, no file, no clock. Stages of a run meet only here.

pub mod affinity;
pub mod aggregate;
pub mod bench;
pub mod bookkeeping;
pub mod bounds;
pub mod candidates;
pub mod cell;
pub mod check;
pub mod conversion;
pub mod details;
pub mod digest;
pub mod event;
pub mod figures;
pub mod inspection;
pub mod loss;
pub mod name;
pub mod pg_type;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod range;
pub mod rehearsal;
pub mod reshape;
pub mod restored;
pub mod source;
pub mod status;
pub mod verdict;
