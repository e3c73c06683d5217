//! Where things are, and what the chart renders to.

pub mod cluster;
pub mod helm;
pub mod project;
pub mod rendered;
