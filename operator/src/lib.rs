//! The operator of flash sales.
//!
//! A pure core in an imperative shell. Each layer uses only the layers before it:
//! [`crd`] holds the types of the resource; [`planner`] decides what is due, [`resources`] builds
//! Kubernetes objects and [`status`] computes what the resource reports, all three as functions of
//! values; [`backends`] connects to Redis and Postgres; [`driver`] executes plans on them;
//! [`controller`] reconciles the FlashSales of a Kubernetes cluster and [`local`] one manifest
//! without Kubernetes.

pub mod backends;
pub mod controller;
pub mod crd;
pub mod driver;
pub mod local;
pub mod planner;
pub mod resources;
pub mod status;
