//! The operator of flash sales.
//!
//! A pure core in an imperative shell. The core: [`api`] says what a manifest looks like,
//! [`settings`] what makes sense, [`schedule`] when sales open, [`plan`] what is to be done now,
//! [`report`] what is told about it. The shell: [`driver`] carries plans out on the [`stores`],
//! [`local`] drives one [`manifest`] without Kubernetes, [`kubernetes`] the FlashSales of a cluster,
//! for which [`resources`] says what stands there for each, and [`removal`] what is left to do when
//! one is deleted.

pub mod api;
pub mod crd;
pub mod driver;
pub mod kubernetes;
pub mod local;
pub mod manifest;
pub mod plan;
pub mod removal;
pub mod report;
pub mod resources;
pub mod schedule;
pub mod settings;
pub mod stores;
