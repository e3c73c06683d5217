//! The custom resource `FlashSale`, `flashsale.dev/v1alpha1`, as people write it, and its YAML.
//!
//! Guarantees: these types define the shape of a manifest; [`crate::planner::validate`] checks its
//! values. A check that needs one object alone is also a rule in the schema, so that the API server
//! refuses an invalid object at once. The descriptions are what
//! `kubectl explain flashsale` prints: each names its unit and its default.

mod api_pods;
mod flash_sale;
mod status;
mod yaml;

pub use api_pods::*;
pub use flash_sale::*;
pub use status::*;
pub use yaml::yaml;

#[cfg(test)]
mod tests;
