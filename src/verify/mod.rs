//! An independent second opinion: do both sides hold the same rows, cell by cell?
//!
//! Owns the canonical form, the reading of a source cell and of a target field into it, and the comparison. Shares
//! no code with the load's conversions: a mistake there must not hide itself here. docs/verify.md specifies it all.

pub mod adder;
pub mod aggregate;
pub mod expect;
pub mod form;
pub mod found;
pub mod listing;
pub mod locate;
pub mod planted;
pub mod sample;
pub mod sampled;
pub mod show;
pub mod side;
pub mod source;
pub mod target;
pub mod waiting;
