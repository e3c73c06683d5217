//! Whom the pods run as: somebody of their own, who may do nothing.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::Inputs;

pub(super) fn build(inputs: &Inputs<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: inputs.metadata(),
        // The pods never ask the API server for anything.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
