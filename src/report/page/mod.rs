//! The report of a migration: one page that is read offline and in print, and the same as JSON.
//!
//! `data` is what both say; `html` and `charts` are how the page says it; `markup` is the only place that writes a text
//! of the source into the page.

mod charts;
mod data;
mod html;
mod markup;

pub use data::Report;
