//! The Service of the API pods.
//!
//! It has the public port alone: `/metrics` cannot be reached through a NodePort, a load balancer or
//! an Ingress.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::container::HTTP;
use super::inputs::Inputs;
use super::names::selector;
use crate::crd::ServiceType;

pub(super) fn build(inputs: &Inputs<'_>) -> Service {
    let service = &inputs.flash_sale.spec.api.service;
    Service {
        metadata: ObjectMeta {
            annotations: (!service.annotations.is_empty()).then(|| service.annotations.clone()),
            ..inputs.metadata()
        },
        spec: Some(ServiceSpec {
            type_: Some(type_name(service.type_).to_owned()),
            selector: Some(selector(&inputs.flash_sale.name_any())),
            ports: Some(vec![ServicePort {
                name: Some(HTTP.name.to_owned()),
                port: service.port,
                // A key of the list: server-side apply requires it.
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
