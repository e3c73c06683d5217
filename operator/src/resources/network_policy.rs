//! The NetworkPolicy of the API pods.
//!
//! The public port accepts all sources, because Ingress controllers and load balancers are inside
//! and outside the cluster. The internal port accepts every pod of the cluster, because the
//! namespace and the labels of Prometheus differ between clusters; it returns no secret and changes
//! nothing. A node always reaches its own pods, so probes need no rule. No other port is open.
//!
//! Outgoing connections are not limited: the addresses of the backends are in a Secret.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::container::{HTTP, INTERNAL, Port};
use super::inputs::Inputs;

pub(super) fn build(inputs: &Inputs<'_>) -> NetworkPolicy {
    let all_namespaces = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    };
    NetworkPolicy {
        metadata: inputs.metadata(),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(inputs.selector()),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule {
                    ports: Some(vec![port(HTTP)]),
                    from: None,
                },
                NetworkPolicyIngressRule {
                    ports: Some(vec![port(INTERNAL)]),
                    from: Some(vec![all_namespaces]),
                },
            ]),
            ..NetworkPolicySpec::default()
        }),
    }
}

fn port(port: Port) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::String(port.name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    }
}
