//! lite2pg moves a SQLite database into PostgreSQL.
//!
//! The modules stand in reading order: pure values first, then the two databases, then the stages of a
//! run, then what a person sees. A module looks down, never up, never sideways (see ARCHITECTURE.md).

pub mod durable;
pub mod error;
pub mod files;
pub mod model;

pub mod dialect;
pub mod postgres;
pub mod sqlite;

pub mod load;
pub mod pipeline;
pub mod plan;
pub mod profile;
pub mod rollback;
pub mod transform;
pub mod verify;

pub mod run;

pub mod cli;
pub mod report;

pub use error::{Error, Kind, Result};
