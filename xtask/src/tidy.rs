//! `cargo xtask tidy`: the rules of tidy.toml. A program of its own checks them, so that only
//! who checks them compiles its parser.

use anyhow::{Context, Result};

use crate::{project::cargo, session::Session};

/// Builds the check and runs it; its findings go to the terminal.
pub fn run(session: &Session) -> Result<()> {
    let arguments = ["run", "--quiet", "--package", "flashsale-tidy"];
    session
        .run(cargo("run").args(arguments))
        .context("the rules of tidy.toml are broken; see above")
}
