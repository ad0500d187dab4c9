//! The way back: what was changed in PostgreSQL, written into a private copy of the source.
//!
//! Owns which rows are looked at, what a target field is as a SQLite cell, and the order of the writes. The verifier
//! says which rows differ and whether a written cell means what the target holds: nothing stays that it would not
//! read as the same value. Knows neither files nor what a person asked for.

pub mod alone;
pub mod apply;
pub mod carry;
pub mod clock;
pub mod differ;
pub mod down;
pub mod export;
pub mod habit;
pub mod inverse;
pub mod list;
pub mod number;
pub mod words;
