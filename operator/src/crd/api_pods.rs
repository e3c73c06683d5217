//! `spec.api`: the pods that serve the HTTP API, and what stands around them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The pods that serve the HTTP API.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!has(self.autoscaling) || self.autoscaling.maxReplicas >= self.replicas.sale")
    .message("autoscaling.maxReplicas must be at least replicas.sale")
    .field_path(".autoscaling.maxReplicas"))]
#[serde(rename_all = "camelCase")]
pub struct ApiSpec {
    /// How many pods run. Default: 2 at rest, 6 during a sale.
    #[serde(default)]
    pub replicas: Replicas,

    /// How long before its start a sale is seeded and the pods are scaled up, in hours, minutes
    /// and seconds, at most 24h. Default: 3m.
    #[serde(default = "default_warm_up")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$")
    )]
    #[x_kube(validation = Rule::new("duration(self) <= duration('24h')").message("warmUp must be at most 24h"))]
    pub warm_up: String,

    /// How long after its end the pods stay scaled up and what Redis holds of the sale stays, in
    /// hours, minutes and seconds, at most 24h. Default: 5m.
    #[serde(default = "default_cool_down")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$")
    )]
    #[x_kube(validation = Rule::new("duration(self) <= duration('24h')").message("coolDown must be at most 24h"))]
    pub cool_down: String,

    /// Lets the number of pods grow with their load, measured as the share that they use of the
    /// CPU that they request. Default: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,

    /// What each pod requests and may use, as in a container. It serves with as many threads as
    /// its CPU limit has cores, else its CPU request, rounded up. Default: what the operator is
    /// configured with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,

    /// The Service before the pods. Default: a ClusterIP on port 80.
    #[serde(default)]
    pub service: ServiceSpec,

    /// An Ingress before the Service. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressSpec>,

    /// Whether Prometheus finds the pods by a ServiceMonitor, where the cluster has that
    /// kind (of the Prometheus Operator). Default: true.
    #[serde(default = "default_service_monitor")]
    pub service_monitor: bool,

    /// What the pods have beside what the operator gives them. Default: nothing.
    #[serde(default)]
    pub pod_template: PodTemplate,
}

impl Default for ApiSpec {
    fn default() -> Self {
        Self {
            replicas: Replicas::default(),
            warm_up: default_warm_up(),
            cool_down: default_cool_down(),
            autoscaling: None,
            resources: None,
            service: ServiceSpec::default(),
            ingress: None,
            service_monitor: default_service_monitor(),
            pod_template: PodTemplate::default(),
        }
    }
}

/// How many pods run, at rest and during a sale.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("self.idle <= self.sale").message("idle must not exceed sale").field_path(".idle"))]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// Pods while no sale is near, 0 to 1000. Default: 2.
    #[serde(default = "default_idle_replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub idle: i32,

    /// Pods from the warm-up to the cool-down of a sale, 1 to 1000. Default: 6.
    #[serde(default = "default_sale_replicas")]
    #[schemars(range(min = 1, max = 1000))]
    pub sale: i32,
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            idle: default_idle_replicas(),
            sale: default_sale_replicas(),
        }
    }
}

/// How far the number of pods may grow with their load.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling {
    /// The most pods, 1 to 1000, at least `replicas.sale`. No default.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,

    /// The share of the requested CPU that the pods should use, in percent, 1 to 100. Default: 60.
    #[serde(
        rename = "targetCPUUtilizationPercentage",
        default = "default_target_cpu"
    )]
    #[schemars(range(min = 1, max = 100))]
    pub target_cpu_utilization_percentage: i32,
}

/// The Service before the pods.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// The type of the Service. Default: ClusterIP.
    #[serde(rename = "type", default)]
    pub type_: ServiceType,

    /// The port of the Service, 1 to 65535. Default: 80.
    #[serde(default = "default_service_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,

    /// Annotations of the Service. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self {
            type_: ServiceType::default(),
            port: default_service_port(),
            annotations: BTreeMap::new(),
        }
    }
}

/// How a Service is reached.
#[derive(
    Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub enum ServiceType {
    /// Inside the cluster.
    #[default]
    ClusterIP,
    /// By a port of every node.
    NodePort,
    /// By a load balancer outside the cluster.
    LoadBalancer,
}

/// The Ingress before the Service.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IngressSpec {
    /// Its host name. No default.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,

    /// The class of the Ingress. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,

    /// The Secret with its TLS certificate. Default: none, plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tls_secret_name: Option<String>,

    /// Annotations of the Ingress. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the pods have beside what the operator gives them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Further labels of the pods; those that the operator gives them stay as they are.
    /// Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the pods. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// Labels of the nodes that the pods may run on. Default: any node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that the pods tolerate. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,

    /// The priority class of the pods. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
}

fn default_warm_up() -> String {
    "3m".to_owned()
}

fn default_cool_down() -> String {
    "5m".to_owned()
}

fn default_service_monitor() -> bool {
    true
}

fn default_idle_replicas() -> i32 {
    2
}

fn default_sale_replicas() -> i32 {
    6
}

fn default_target_cpu() -> i32 {
    60
}

fn default_service_port() -> i32 {
    80
}
