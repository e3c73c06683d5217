//! The Deployment of the API pods: how many, on which nodes, and how they are replaced.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile,
    TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::certificates;
use super::container::{self, TERMINATION_GRACE_SECONDS};
use super::inputs::Inputs;
use super::names::{SECRETS_REVISION, labels};

/// The user of the image.
const USER: i64 = 65532;

/// How long a new pod is ready before an old one is terminated: until the proxies of all nodes have
/// its endpoint.
const MIN_READY_SECONDS: i32 = 5;

pub(super) fn build(inputs: &Inputs<'_>) -> Deployment {
    let autoscaled = inputs.flash_sale.spec.api.autoscaling.is_some();
    Deployment {
        metadata: inputs.metadata(),
        spec: Some(DeploymentSpec {
            // The autoscaler, if there is one, owns the number.
            replicas: (!autoscaled).then_some(inputs.replicas),
            selector: inputs.selector(),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                // Never fewer pods than desired, also during a sale. The share is rounded up to at
                // least one.
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::String("25%".to_owned())),
                }),
            }),
            min_ready_seconds: Some(MIN_READY_SECONDS),
            revision_history_limit: Some(3),
            template: template(inputs),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// The labels of the selector override those of the user: pods that the selector does not match
/// would be created without end.
fn template(inputs: &Inputs<'_>) -> PodTemplateSpec {
    let given = &inputs.flash_sale.spec.api.pod_template;
    let mut pod_labels = given.labels.clone();
    pod_labels.extend(labels(&inputs.flash_sale.name_any()));
    let mut annotations = given.annotations.clone();
    annotations.insert(SECRETS_REVISION.to_owned(), inputs.revision.clone());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(inputs)),
    }
}

fn pod(inputs: &Inputs<'_>) -> PodSpec {
    let given = &inputs.flash_sale.spec.api.pod_template;
    let pull_secrets = inputs.defaults.image_pull_secrets.iter();
    let pull_secrets: Vec<_> = pull_secrets
        .map(|name| LocalObjectReference { name: name.clone() })
        .collect();
    PodSpec {
        service_account_name: Some(inputs.child_name()),
        automount_service_account_token: Some(false),
        // Variables of other Services of the namespace could be read as settings of the process.
        enable_service_links: Some(false),
        image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(TERMINATION_GRACE_SECONDS),
        topology_spread_constraints: Some(vec![
            spread(inputs, "topology.kubernetes.io/zone"),
            spread(inputs, "kubernetes.io/hostname"),
        ]),
        node_selector: (!given.node_selector.is_empty()).then(|| given.node_selector.clone()),
        tolerations: (!given.tolerations.is_empty()).then(|| given.tolerations.clone()),
        priority_class_name: given.priority_class_name.clone(),
        containers: vec![container::build(inputs)],
        volumes: Some(certificates::volumes(&inputs.flash_sale.spec)),
        ..PodSpec::default()
    }
}

/// Evenly over the values of a node label. Two pods on one node are better than a pod too few.
fn spread(inputs: &Inputs<'_>, topology_key: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        topology_key: topology_key.to_owned(),
        max_skew: 1,
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(inputs.selector()),
        // Each revision alone: otherwise the new pods of a rollout are placed around the old ones.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    }
}
