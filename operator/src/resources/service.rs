//! The address of the pods.
//!
//! It has the public port alone: by a NodePort, a load balancer or an Ingress before it nobody
//! reaches `/metrics`.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::container::HTTP;
use super::{Inputs, selector};
use crate::crd::ServiceType;

pub(super) fn build(inputs: &Inputs<'_>) -> Service {
    let wanted = &inputs.flash_sale.spec.api.service;
    Service {
        metadata: ObjectMeta {
            annotations: (!wanted.annotations.is_empty()).then(|| wanted.annotations.clone()),
            ..inputs.metadata()
        },
        spec: Some(ServiceSpec {
            type_: Some(type_name(wanted.type_).to_owned()),
            selector: Some(selector(&inputs.flash_sale.name_any())),
            ports: Some(vec![ServicePort {
                name: Some(HTTP.name.to_owned()),
                port: wanted.port,
                // A key of the list: server-side apply wants it said.
                protocol: Some("TCP".to_owned()),
                app_protocol: Some("http".to_owned()),
                target_port: Some(IntOrString::String(HTTP.name.to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn type_name(type_: ServiceType) -> &'static str {
    match type_ {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    }
}
