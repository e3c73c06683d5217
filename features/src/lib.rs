//! Nothing but features of libraries; see `Cargo.toml`.
