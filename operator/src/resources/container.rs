//! The container of an API pod: its program, its settings and its probes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Probe,
    ResourceFieldSelector, ResourceRequirements, SecretKeySelector, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::certificates::{self, POSTGRES, REDIS};
use super::inputs::Inputs;
use crate::crd::KeyRef;

/// A port of the container.
#[derive(Clone, Copy)]
pub(super) struct Port {
    pub(super) name: &'static str,
    pub(super) number: i32,
}

/// The port for clients.
pub(super) const HTTP: Port = Port {
    name: "http",
    number: 8080,
};

/// The port for probes and metrics.
pub(super) const INTERNAL: Port = Port {
    name: "internal",
    number: 9090,
};

/// How long a terminating pod accepts requests: until the proxies of all nodes and the load
/// balancers have removed its endpoint.
const DRAIN_SECONDS: i64 = 5;

/// How long a request may take.
const REQUEST_TIMEOUT_SECONDS: i64 = 10;

/// How long an API process settles its last claims and attempts at most.
const SETTLE_SECONDS: i64 = 15;

/// A pod that is killed before all three have ended drops requests; a process that needs less time
/// exits earlier. The sum has a reserve for a process that gets little CPU of a busy node.
pub(super) const TERMINATION_GRACE_SECONDS: i64 =
    DRAIN_SECONDS + REQUEST_TIMEOUT_SECONDS + SETTLE_SECONDS + 10;

const NAME: &str = "api";

pub(super) fn build(inputs: &Inputs<'_>) -> Container {
    let given = inputs.flash_sale.spec.api.resources.as_ref();
    let resources = given.unwrap_or(&inputs.defaults.resources);
    Container {
        name: NAME.to_owned(),
        image: Some(inputs.defaults.image.clone()),
        image_pull_policy: Some(inputs.defaults.image_pull_policy.clone()),
        command: Some(vec!["/usr/local/bin/flashsale-api".to_owned()]),
        env: Some(environment(inputs, resources)),
        ports: Some(vec![container_port(HTTP), container_port(INTERNAL)]),
        resources: Some(resources.clone()),
        volume_mounts: Some(certificates::mounts()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                add: None,
                drop: Some(vec!["ALL".to_owned()]),
            }),
            ..SecurityContext::default()
        }),
        // The process answers as soon as it runs, and the other probes wait for this one.
        startup_probe: Some(Probe {
            period_seconds: Some(1),
            timeout_seconds: Some(1),
            failure_threshold: Some(60),
            ..probe("/livez")
        }),
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            timeout_seconds: Some(2),
            failure_threshold: Some(3),
            ..probe("/readyz")
        }),
        // It depends on no backend, and allows a minute: a process that is busy at the peak of a
        // sale must not be killed.
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            timeout_seconds: Some(5),
            failure_threshold: Some(6),
            ..probe("/livez")
        }),
        ..Container::default()
    }
}

fn environment(inputs: &Inputs<'_>, resources: &ResourceRequirements) -> Vec<EnvVar> {
    let flash_sale = inputs.flash_sale;
    let name = format!(
        "{}.{}",
        flash_sale.namespace().unwrap_or_default(),
        flash_sale.name_any()
    );
    let spec = &flash_sale.spec;
    let mut variables = vec![
        value("FLASHSALE_NAME", name),
        secret("FLASHSALE_REDIS_URL", &spec.redis.secret_key_ref),
        value("FLASHSALE_REDIS_CERTIFICATES", certificates::folder(REDIS)),
        secret("FLASHSALE_POSTGRES_URL", &spec.postgres.secret_key_ref),
        value(
            "FLASHSALE_POSTGRES_CERTIFICATES",
            certificates::folder(POSTGRES),
        ),
        // Set here, because the grace period of the pod is computed from them.
        value("FLASHSALE_DRAIN_SECONDS", DRAIN_SECONDS.to_string()),
        value(
            "FLASHSALE_REQUEST_TIMEOUT_SECONDS",
            REQUEST_TIMEOUT_SECONDS.to_string(),
        ),
    ];
    variables.extend(worker_threads(resources));
    variables
}

fn value(name: &str, value: String) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value),
        ..EnvVar::default()
    }
}

fn secret(name: &str, key: &KeyRef) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: key.name.clone(),
                key: key.key.clone(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// As many threads as the container has cores: by its limit, else by its request, each rounded up by
/// the kubelet. By default the process starts a thread for each core of the node, which are more
/// than a pod with a small share can use. Without a limit and a request the default is right.
fn worker_threads(resources: &ResourceRequirements) -> Option<EnvVar> {
    let has_cpu = |amounts: &Option<BTreeMap<String, Quantity>>| {
        amounts.as_ref().is_some_and(|a| a.contains_key("cpu"))
    };
    let resource = match resources {
        r if has_cpu(&r.limits) => "limits.cpu",
        r if has_cpu(&r.requests) => "requests.cpu",
        _ => return None,
    };
    Some(EnvVar {
        name: "FLASHSALE_WORKER_THREADS".to_owned(),
        value_from: Some(EnvVarSource {
            resource_field_ref: Some(ResourceFieldSelector {
                container_name: Some(NAME.to_owned()),
                resource: resource.to_owned(),
                divisor: Some(Quantity("1".to_owned())),
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    })
}

fn container_port(port: Port) -> ContainerPort {
    ContainerPort {
        name: Some(port.name.to_owned()),
        container_port: port.number,
        // A key of the list: server-side apply requires it.
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(INTERNAL.name.to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}
