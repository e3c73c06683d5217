//! `cargo xtask cluster up`, `test` and `down`.

use anyhow::Result;
use clap::Subcommand;

use crate::{cluster::Cluster, cluster_test, session::Session};

/// What to do with the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Start it, with the images, Redis Cluster and Postgres; goes on where it was broken off.
    Up,
    /// Sell on it as a user would, through upgrades and the loss of the operator, and check
    /// what comes of it; starts it where it does not run.
    Test,
    /// End and remove all of it.
    Down,
}

/// Does it.
pub fn run(session: &Session, action: Action) -> Result<()> {
    match action {
        Action::Up => Cluster::up(session).map(drop),
        Action::Test => cluster_test::run(session),
        Action::Down => Cluster::down(session),
    }
}
