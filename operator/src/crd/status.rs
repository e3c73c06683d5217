//! `status`: what the operator has observed and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What the operator has observed and done. It is never read to decide whether something was sold.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FlashSaleStatus {
    /// Where the FlashSale stands, in one word.
    #[serde(default)]
    pub phase: Phase,

    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// What is true and what is not, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The sale that is open now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_sale: Option<ActiveSale>,

    /// The sale that opens next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sale: Option<NextSale>,

    /// The sales of the past, newest first, within the history limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastSale>,

    /// How many API pods there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// The label selector of the API pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// Where a FlashSale stands.
#[derive(
    Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub enum Phase {
    /// Nothing is observed yet.
    #[default]
    Pending,
    /// The spec or a reference is invalid; the condition Ready has the reason.
    Invalid,
    /// The next sale is further away than the warm-up.
    Scheduled,
    /// No further sale opens.
    Suspended,
    /// The next sale is being seeded, or is ready to open.
    WarmingUp,
    /// A sale is open.
    Selling,
    /// A sale is open, and everything in it is sold.
    SoldOut,
    /// A sale has ended and Postgres is being brought up to date with it.
    Settling,
    /// A sale has ended and is settled; pods and Redis keep it for the cool-down.
    CoolingDown,
    /// No sale will open any more.
    Finished,
}

impl Phase {
    /// The word as the resource spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Invalid => "Invalid",
            Self::Scheduled => "Scheduled",
            Self::Suspended => "Suspended",
            Self::WarmingUp => "WarmingUp",
            Self::Selling => "Selling",
            Self::SoldOut => "SoldOut",
            Self::Settling => "Settling",
            Self::CoolingDown => "CoolingDown",
            Self::Finished => "Finished",
        }
    }
}

/// The sale that is open now.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ActiveSale {
    /// Its id: namespace, name and UTC start.
    pub id: String,
    /// When it opened.
    pub starts_at: Time,
    /// When it ends.
    pub ends_at: Time,
    /// How many items it may sell.
    pub total: i32,
    /// How many items are sold in Postgres.
    pub sold: i32,
    /// Both, as 37/10000.
    pub sold_of_total: String,
    /// When everything was first observed to be sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sold_out_at: Option<Time>,
}

/// The sale that opens next.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NextSale {
    /// Its id: namespace, name and UTC start.
    pub id: String,
    /// When it opens.
    pub starts_at: Time,
    /// When it ends.
    pub ends_at: Time,
    /// Whether it is seeded; from then on it opens on time whatever happens to the operator.
    pub seeded: bool,
}

/// A sale of the past.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PastSale {
    /// Its id: namespace, name and UTC start.
    pub id: String,
    /// When it was to open.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Time,
    /// Whether it was held.
    pub result: SaleResult,
    /// How many items it could sell; not set where it was never seeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<i32>,
    /// How many items it sold.
    pub sold: i32,
    /// Why it was not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether a sale was held.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleResult {
    /// It was held and is settled.
    Successful,
    /// It could not be held.
    Failed,
}
