//! The Ingress before the Service, if the FlashSale has one.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::container::HTTP;
use super::inputs::Inputs;

pub(super) fn build(inputs: &Inputs<'_>) -> Option<Ingress> {
    let ingress = inputs.flash_sale.spec.api.ingress.as_ref()?;
    let tls = ingress
        .tls_secret_name
        .clone()
        .map(|secret_name| IngressTLS {
            hosts: Some(vec![ingress.host.clone()]),
            secret_name: Some(secret_name),
        });
    let everything = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: inputs.child_name(),
                port: Some(ServiceBackendPort {
                    name: Some(HTTP.name.to_owned()),
                    number: None,
                }),
            }),
            resource: None,
        },
    };
    Some(Ingress {
        metadata: ObjectMeta {
            annotations: (!ingress.annotations.is_empty()).then(|| ingress.annotations.clone()),
            ..inputs.metadata()
        },
        spec: Some(IngressSpec {
            ingress_class_name: ingress.class_name.clone(),
            tls: tls.map(|tls| vec![tls]),
            rules: Some(vec![IngressRule {
                host: Some(ingress.host.clone()),
                http: Some(HTTPIngressRuleValue {
                    paths: vec![everything],
                }),
            }]),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}
