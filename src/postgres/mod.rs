//! (module head)

pub mod encode;
