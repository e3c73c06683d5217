//! What pods use of CPU and memory, for autoscalers and `kubectl top`: metrics-server, on
//! this machine at the bridge's address, called by the API server.

use std::time::Duration;

use anyhow::Result;

use super::{
    control_plane::{accepts, with_kubeconfigs},
    kubectl::Kubectl,
    place,
};
use crate::session::Session;

const START_LIMIT: Duration = Duration::from_secs(60);
const PORT: u16 = 4443;

/// What it reads, and where the API server finds it.
const MANIFEST: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:metrics-server"}
rules:
  - {apiGroups: [""], resources: [nodes/metrics], verbs: [get]}
  - {apiGroups: [""], resources: [pods, nodes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:metrics-server"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:metrics-server"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:metrics-server"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "metrics-server:system:auth-delegator"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:metrics-server"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: metrics-server-auth-reader, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:metrics-server"}]
---
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec:
  ports: [{name: https, port: 443, targetPort: <port>}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: metrics-server
  namespace: kube-system
  labels: {kubernetes.io/service-name: metrics-server}
addressType: IPv4
ports: [{name: https, port: <port>}]
endpoints: [{addresses: ["<address>"], conditions: {ready: true}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  service: {name: metrics-server, namespace: kube-system}
  group: metrics.k8s.io
  version: v1beta1
  # Its certificate is of its own making, and it is on this machine.
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
"#;

/// Starts it unless it runs.
pub fn ensure(session: &Session, kubectl: &Kubectl) -> Result<()> {
    let manifest = MANIFEST
        .replace("<port>", &PORT.to_string())
        .replace("<address>", place::ADDRESS);
    kubectl.apply(session, "metrics-server", &manifest)?;
    let daemon = with_kubeconfigs("metrics-server", "metrics-server")?
        .flag("bind-address", place::ADDRESS)
        .flag("secure-port", PORT.to_string())
        // kubelet's certificate is of its own making too.
        .arg("--kubelet-insecure-tls")
        .flag("kubelet-preferred-address-types", "InternalIP")
        .flag("metric-resolution", "15s");
    daemon.ensure(session, START_LIMIT, || Ok(accepts(PORT)))
}
