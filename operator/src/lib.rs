//! The operator of flash sales.
//!
//! A pure core in an imperative shell. The core: [`api`] says what a manifest looks like,
//! [`settings`] what makes sense, [`schedule`] when sales open, [`plan`] what is to be done now,
//! [`report`] what is told about it. The shell: [`driver`] carries plans out on the [`stores`],
//! [`local`] drives one [`manifest`] without Kubernetes.

pub mod api;
pub mod crd;
pub mod driver;
pub mod local;
pub mod manifest;
pub mod plan;
pub mod report;
pub mod resources;
pub mod schedule;
pub mod settings;
pub mod stores;
