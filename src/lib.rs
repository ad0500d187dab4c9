//! Moves a SQLite database into PostgreSQL, proves that it arrived, and brings it back.
//!
//! What the command line does, a program can do. [`Options`] say what is asked of a source, [`Target`] names a database, and
//! a verb does it: [`plan`](Options::plan), [`migrate`](Options::migrate), [`verify`](Options#method.verify),
//! [`rollback`](Options::rollback).
//!
//! ```
//! use lite2pg::{Embedded, EmbeddedOptions, Ending, Options};
//!
//! # fn main() -> lite2pg::Result<()> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let (app, restored) = (folder.path().join("app.db"), folder.path().join("restored.db"));
//! # let db = rusqlite::Connection::open(&app).expect("a database");
//! # db.execute_batch(
//! #     "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, seen DATETIME);
//! #      INSERT INTO users VALUES (1, 'Ann', '2026-01-02 03:04:05'), (2, 'Ben', NULL);",
//! # ).expect("rows");
//! # drop(db);
//! // A private server that lives as long as this value. `"postgres:///app".parse::<Target>()?` names any other.
//! let server = Embedded::start(&EmbeddedOptions::default())?;
//! let target = server.target();
//!
//! let options = Options::new(&app);
//! let plan = options.plan(None)?.plan;
//! assert_eq!(plan.tables[0].columns[2].pg_type.to_string(), "timestamptz");
//!
//! let summary = options.migrate(&target)?;
//! assert_eq!(summary.tables[0].rows, 2);
//! assert!(summary.is_verified());
//!
//! // Later on, when the application has written to PostgreSQL:
//! assert!(options.verify(&target)?.is_proof());
//! let back = options.rollback(&target, &restored)?;
//! assert_eq!(back.ending, Ending::Published);
//! # Ok(())
//! # }
//! ```
//!
//! # Pipelines
//!
//! A [`Pipeline`] is a text that can be reviewed: it renames, filters, computes, joins and checks on the way. It has the same
//! verbs; [`Options::shaped`] adds what it asks to options of your own, which win.
//!
//! ```
//! use lite2pg::{Embedded, EmbeddedOptions, Pipeline};
//!
//! # fn main() -> lite2pg::Result<()> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let shop = folder.path().join("shop.toml");
//! # let db = rusqlite::Connection::open(folder.path().join("shop.db")).expect("a database");
//! # db.execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, ' Ann ');")
//! #     .expect("rows");
//! # drop(db);
//! # std::fs::write(&shop, r#"
//! # source = "shop.db"
//! # [[table]]
//! # from = "users"
//! # to = "people"
//! # columns.name = { sql = "trim(name)" }
//! # "#).expect("a pipeline");
//! let server = Embedded::start(&EmbeddedOptions::default())?;
//! let summary = Pipeline::load(&shop)?.migrate(&server.target())?;
//! assert!(summary.is_verified());
//! assert_eq!(summary.tables[0].table, "people");
//! # Ok(())
//! # }
//! ```
//!
//! # Watching and stopping
//!
//! The verbs of [`Options`] are silent. [`run::migrate`] and its neighbours take an [`Observer`], which hears of each
//! [`Event`], from several threads, and a flag that a signal handler may set: the run then ends with
//! [`Kind::Interrupted`], and the same call goes on with it. `examples/library.rs` does both.
//!
//! # Errors
//!
//! There is one type of error. Its [`kind`](Error::kind) decides what a program does about it, its
//! [`data_state`](Error::data_state) says what is on both sides by now, its [`way_out`](Error::way_out) what to do. Its text
//! holds no value of a row and no password. A verb that came to its end is `Ok` whatever it found: ask
//! [`Summary::is_verified`], [`Verification::is_proof`], [`Restored::ending`].
//!
//! Calls block, and run what they need on threads and an async runtime of their own: from async code, call them by
//! `spawn_blocking`.
//!
//! # The rest
//!
//! The modules stand in reading order: pure values first, then the two databases, then the stages of a run, then what a
//! person sees. A module looks down, never up, never sideways (see ARCHITECTURE.md). What is named at the root, and [`run`],
//! is the library's face; the modules below are public for the tests, and change when the program does.

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
pub use model::event::{Event, Observer, Silent, Summary};
pub use model::restored::{Ending, Restored};
pub use model::verdict::Verification;
pub use pipeline::Pipeline;
pub use postgres::{Embedded, EmbeddedOptions, Target};
pub use run::{Options, RollbackOptions};
