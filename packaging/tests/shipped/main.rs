//! What the product is shipped with is what it promises: the chart, the samples, the Dockerfile and
//! the Tiltfile.
//!
//! The chart is rendered by the real Helm. Docker and Tilt are not run: the modules `dockerfile` and
//! `tiltfile` say what of these files is looked at, and what is not.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accepted;
mod command_lines;
mod containers;
mod definition;
mod dockerfile;
mod objects;
mod releases;
mod rights;
mod samples;
mod support;
mod tiltfile;
mod values;
