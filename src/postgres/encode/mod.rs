//! Values as fields of a binary COPY: each function appends a length and a payload to a buffer.
//!
//! Owns the byte formats and nothing else: it does not know SQLite, columns, rules or connections, and no
//! input makes it fail. The formats are those of the types' receive functions. PostgreSQL documents the
//! envelope (<https://www.postgresql.org/docs/15/sql-copy.html>, "Binary Format") but leaves the fields to
//! the source (`src/backend/utils/adt/*.c`, functions `*_recv`); each file names its page or function.

pub mod array;
mod boolean;
mod copy;
mod number;
mod numeric;
mod text;
mod time;
mod uuid;

pub use boolean::boolean;
pub use copy::{FIELD_BYTES_MAX, header, length, null, row, trailer};
pub use number::{float4, float8, int2, int4, int8};
pub use numeric::{numeric, numeric_integer};
pub use text::{bytea, json, jsonb, text, text_lossy};
pub use time::{date, time, timestamp};
pub use uuid::uuid;
