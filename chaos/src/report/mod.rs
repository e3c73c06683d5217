//! What is written about runs: a plot of each, a line of a table, and the verdicts on the terminal.

mod picture;
mod table;
mod text;
mod worst;

pub use picture::svg;
pub use table::{RunRow, Table};
pub use text::verdicts;
