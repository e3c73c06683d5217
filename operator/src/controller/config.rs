//! The settings of `flashsale-operator run`: flags, each with an environment variable.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use k8s_openapi::api::core::v1::ResourceRequirements;

use super::leader_election::LeaseSettings;
use crate::resources::PodDefaults;

const API_RESOURCES: &str =
    r#"{"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}"#;

/// Reconciles the FlashSales of a Kubernetes cluster.
#[derive(Debug, Clone, Args)]
pub struct RunSettings {
    /// The one namespace whose FlashSales are reconciled; empty: all namespaces.
    #[arg(long, env = "FLASHSALE_NAMESPACE", default_value = "")]
    pub namespace: String,

    /// The image of the API pods; it has /usr/local/bin/flashsale-api.
    #[arg(long, env = "FLASHSALE_API_IMAGE")]
    pub api_image: String,

    /// When the image of the API pods is pulled: Always, IfNotPresent or Never.
    #[arg(
        long,
        env = "FLASHSALE_API_IMAGE_PULL_POLICY",
        default_value = "IfNotPresent",
        value_parser = ["Always", "IfNotPresent", "Never"]
    )]
    pub api_image_pull_policy: String,

    /// Names of Secrets with which the image is pulled, separated by commas. They are in the
    /// namespaces of the FlashSales.
    #[arg(
        long,
        env = "FLASHSALE_API_IMAGE_PULL_SECRETS",
        default_value = "",
        value_delimiter = ','
    )]
    pub api_image_pull_secrets: Vec<String>,

    /// What an API pod requests and may use unless spec.api.resources sets it, as JSON.
    #[arg(
        long,
        env = "FLASHSALE_API_RESOURCES",
        value_name = "JSON",
        default_value = API_RESOURCES,
        value_parser = resources
    )]
    pub api_resources: ResourceRequirements,

    /// Where /livez, /readyz and /metrics listen; port 0 takes a free one.
    #[arg(
        long,
        env = "FLASHSALE_OPERATOR_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,

    /// The namespace of the Lease that one of several operators holds.
    #[arg(long, env = "FLASHSALE_LEASE_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,

    /// The name of the Lease.
    #[arg(
        long,
        env = "FLASHSALE_LEASE_NAME",
        default_value = "flashsale-operator"
    )]
    pub lease_name: String,

    /// Seconds without a renewal after which another operator takes over, 3 to 3600.
    #[arg(long, env = "FLASHSALE_LEASE_SECONDS", default_value_t = 15,
          value_parser = clap::value_parser!(u16).range(3..=3_600))]
    pub lease_seconds: u16,

    /// The holder of the Lease: a unique name for each operator, such as that of its pod.
    #[arg(long, env = "POD_NAME", default_value_t = own_name())]
    pub identity: String,
}

impl RunSettings {
    /// The Lease that the leader holds.
    pub(super) fn lease(&self) -> LeaseSettings {
        LeaseSettings {
            namespace: self.lease_namespace.clone(),
            name: self.lease_name.clone(),
            identity: self.identity.clone(),
            duration: Duration::from_secs(self.lease_seconds.into()),
        }
    }

    /// The defaults of all API pods.
    pub(super) fn pod_defaults(&self) -> PodDefaults {
        let names = self.api_image_pull_secrets.iter().map(|name| name.trim());
        PodDefaults {
            image: self.api_image.clone(),
            image_pull_policy: self.api_image_pull_policy.clone(),
            image_pull_secrets: names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            resources: self.api_resources.clone(),
        }
    }
}

fn resources(text: &str) -> Result<ResourceRequirements, String> {
    serde_json::from_str(text).map_err(|error| {
        format!(
            "found no resources of a container ({error}); expected JSON such as {API_RESOURCES}"
        )
    })
}

fn own_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}
