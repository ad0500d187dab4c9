//! The PostgreSQL side: where the server is, how to reach it, how to speak with it, how to start one.
//!
//! Owns the connection string's rules ([`Target`]), TLS, the [`Pool`] with its runtime, the blocking
//! [`Session`] and the throw-away server ([`Embedded`]). The driver is named only in here. Knows nothing
//! of SQLite, plans or rows.

pub mod aggregate;
pub mod aside;
pub mod bench;
pub mod cast;
pub mod catalog;
mod connect;
mod conninfo;
pub mod control;
mod copy;
pub mod ddl;
pub mod decode;
pub mod drill;
pub mod dump;
mod embedded;
pub mod encode;
pub mod enums;
mod environment;
pub mod fallback;
pub mod fence;
pub mod hash;
pub mod heads;
pub mod ids;
pub mod indexes;
pub mod lookup;
mod passfile;
mod programs;
pub mod question;
pub mod read;
mod refusal;
pub mod render;
mod resolve;
pub mod sample;
pub mod scratch;
pub mod script;
mod service;
mod session;
mod silence;
pub mod status;
pub mod stranger;
mod target;
mod tls;
pub mod triggers;

pub use connect::{Pool, PoolSettings};
pub use copy::{CopyIn, CopyOut};
pub use embedded::{Embedded, EmbeddedOptions, Kept};
pub use environment::Environment;
pub use refusal::{is_answer, is_answer_of_a_type, is_server_gone, refused_column, refused_line};
pub use session::{CancelHandle, Savepoint, ServerInfo, Session, Transaction};
pub use target::{Endpoint, SslMode, Target};

pub use tokio_postgres::Row;
pub use tokio_postgres::types::{self, ToSql};
