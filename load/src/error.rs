//! What can stop a run before it has a result.

use std::path::PathBuf;

/// Why a run has no result. Broken invariants and errors of the server are
/// results, not errors of the run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing to buy within the time that was given.
    #[error(
        "expected an active sale at {target} within {waited_s} s, found {last}; \
         start a sale, or wait longer with --sale-start-timeout SECONDS"
    )]
    NoActiveSale {
        /// The asked address.
        target: String,
        /// How long was waited, in seconds.
        waited_s: u64,
        /// The last answer.
        last: String,
    },
    /// Nothing is left to buy, and no other sale begins in time.
    #[error(
        "expected something to buy, found that sale {sale} is sold out until {until}; \
         start another sale, one with more items (catalog.generate.count), \
         or use --profile refused"
    )]
    SoldOut {
        /// The sale's id.
        sale: String,
        /// When it ends.
        until: String,
    },
    /// A purchase that did not come about.
    #[error(
        "expected to buy one item at {target} within {within_s} s, found {last}; \
         see whether the API is ready (its pods, GET /health) and a sale is open \
         (GET /sales/active), or wait longer with --within SECONDS"
    )]
    NotBought {
        /// The asked address.
        target: String,
        /// How long was tried, in seconds.
        within_s: u64,
        /// What stood in the way last.
        last: String,
    },
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// The items of the sale could not be listed.
    #[error("expected a page of items from GET {path}, found {found}")]
    Catalogue {
        /// The asked path.
        path: String,
        /// What came instead.
        found: String,
    },
    /// The profile `refused` has nothing to be refused.
    #[error(
        "expected sold items in sale {sale}, found none; sell it out first \
         (--profile heavy --until-sold-out)"
    )]
    NothingSold {
        /// The sale's id.
        sale: String,
    },
    /// The check could not read what it needs.
    #[error(
        "the check against Postgres failed while it read {what}: {source}; \
         check the URL given with --postgres and at the migrations"
    )]
    Postgres {
        /// What was being read.
        what: &'static str,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// Postgres does not know what the API serves.
    #[error("expected {what} in Postgres, found none; is --postgres the database of this API?")]
    NotInPostgres {
        /// What is missing.
        what: String,
    },
    /// A cart could not be filled.
    #[error("expected to fill {asked} carts, found {found} after {filled} of them")]
    CartNotFilled {
        /// How many were asked for.
        asked: u32,
        /// How many were filled.
        filled: usize,
        /// What stood in the way.
        found: String,
    },
    /// A file of filled carts could not be read.
    #[error("could not read the carts in {path}: {source}")]
    ReadCarts {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A report could not be written.
    #[error("could not write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Reading took too long.
    #[error("the check against Postgres gave up: it took longer than {limit_s} s")]
    CheckTooSlow {
        /// The limit in seconds.
        limit_s: u64,
    },
    /// The operating system refused something the generator needs.
    #[error("could not {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}
