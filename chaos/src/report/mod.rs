//! What is written about runs: a plot of each, a line of a table, and the verdicts on the terminal.

mod picture;
mod run_row;
mod table;
mod text;
mod worst;

pub use picture::svg;
pub use run_row::RunRow;
pub use table::Table;
pub use text::verdicts;
