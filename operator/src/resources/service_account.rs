//! The ServiceAccount of the API pods: one of their own, without rights.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::inputs::Inputs;

pub(super) fn build(inputs: &Inputs<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: inputs.metadata(),
        // The pods send no request to the API server.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
