//! etcd, the API server, the controller manager and the scheduler.

use std::{net::TcpStream, time::Duration};

use anyhow::Result;
use flashsale_servers::go_program;

use super::{daemons::Daemon, kubectl::Kubectl, place};
use crate::session::Session;

const START_LIMIT: Duration = Duration::from_secs(120);

/// Without it the API server is refused `kubectl logs` and `exec` by kubelet.
const KUBELET_CLIENT: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kube-apiserver-kubelet-client}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kubelet-api-admin"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: kube-apiserver-kubelet-client}]
"#;

/// Starts them unless they run.
pub fn ensure(session: &Session, kubectl: &Kubectl) -> Result<()> {
    etcd(session)?;
    api_server(session, kubectl)?;
    kubectl.apply(session, "kubelet-client", KUBELET_CLIENT)?;
    let controllers = with_kubeconfigs("kube-controller-manager", "controller-manager")?
        .flag("bind-address", place::ADDRESS)
        .flag("leader-elect", "false")
        .flag("use-service-account-credentials", "true")
        .flag("root-ca-file", place::pki("ca.crt"))
        .flag("service-account-private-key-file", place::pki("sa.key"))
        .flag("cluster-signing-cert-file", place::pki("ca.crt"))
        .flag("cluster-signing-key-file", place::pki("ca.key"));
    controllers.ensure(session, START_LIMIT, || Ok(accepts(10257)))?;
    let scheduler = with_kubeconfigs("kube-scheduler", "scheduler")?
        .flag("bind-address", place::ADDRESS)
        .flag("leader-elect", "false");
    scheduler.ensure(session, START_LIMIT, || Ok(accepts(10259)))
}

fn etcd(session: &Session) -> Result<()> {
    let url = |port: u16| format!("https://{}:{port}", place::ADDRESS);
    let daemon = Daemon::new("etcd", go_program("etcd")?)
        .flag("name", place::NODE)
        .flag("data-dir", place::state().join("etcd"))
        .flag("listen-client-urls", url(2379))
        .flag("advertise-client-urls", url(2379))
        .flag("listen-peer-urls", url(2380))
        .flag("initial-advertise-peer-urls", url(2380))
        .flag("initial-cluster", format!("{}={}", place::NODE, url(2380)))
        .flag("client-cert-auth", "true")
        .flag("trusted-ca-file", place::pki("etcd/ca.crt"))
        .flag("cert-file", place::pki("etcd/server.crt"))
        .flag("key-file", place::pki("etcd/server.key"))
        .flag("peer-client-cert-auth", "true")
        .flag("peer-trusted-ca-file", place::pki("etcd/ca.crt"))
        .flag("peer-cert-file", place::pki("etcd/peer.crt"))
        .flag("peer-key-file", place::pki("etcd/peer.key"))
        // Nobody misses what a power cut takes from a development cluster.
        .arg("--unsafe-no-fsync")
        .flag("log-level", "warn");
    daemon.ensure(session, START_LIMIT, || Ok(accepts(2379)))
}

fn api_server(session: &Session, kubectl: &Kubectl) -> Result<()> {
    let issuer = format!("https://kubernetes.default.svc.{}", place::DOMAIN);
    let daemon = Daemon::new("kube-apiserver", go_program("kube-apiserver")?)
        .flag("advertise-address", place::ADDRESS)
        .flag("bind-address", place::ADDRESS)
        .flag("secure-port", "6443")
        .flag("etcd-servers", format!("https://{}:2379", place::ADDRESS))
        .flag("etcd-cafile", place::pki("etcd/ca.crt"))
        .flag("etcd-certfile", place::pki("apiserver-etcd-client.crt"))
        .flag("etcd-keyfile", place::pki("apiserver-etcd-client.key"))
        .flag("client-ca-file", place::pki("ca.crt"))
        .flag("tls-cert-file", place::pki("apiserver.crt"))
        .flag("tls-private-key-file", place::pki("apiserver.key"))
        .flag("authorization-mode", "Node,RBAC")
        // The second is off by default; operators have to do with it all the same.
        .flag(
            "enable-admission-plugins",
            "NodeRestriction,OwnerReferencesPermissionEnforcement",
        )
        .flag("service-cluster-ip-range", place::SERVICES)
        .flag("service-account-issuer", issuer)
        .flag("service-account-key-file", place::pki("sa.pub"))
        .flag("service-account-signing-key-file", place::pki("sa.key"))
        .flag(
            "kubelet-client-certificate",
            place::pki("apiserver-kubelet-client.crt"),
        )
        .flag(
            "kubelet-client-key",
            place::pki("apiserver-kubelet-client.key"),
        )
        .flag("kubelet-preferred-address-types", "InternalIP")
        // For metrics-server, which the API server calls as a client.
        .flag(
            "requestheader-client-ca-file",
            place::pki("front-proxy-ca.crt"),
        )
        .flag("requestheader-allowed-names", "front-proxy-client")
        .flag("requestheader-username-headers", "X-Remote-User")
        .flag("requestheader-group-headers", "X-Remote-Group")
        .flag("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        .flag(
            "proxy-client-cert-file",
            place::pki("front-proxy-client.crt"),
        )
        .flag(
            "proxy-client-key-file",
            place::pki("front-proxy-client.key"),
        )
        .flag("enable-aggregator-routing", "true");
    daemon.ensure(session, START_LIMIT, || {
        Ok(kubectl.output(&["get", "--raw", "/readyz"]).is_ok())
    })
}

/// A server of Kubernetes' own, which asks the API server whom it may answer.
pub fn with_kubeconfigs(program: &'static str, component: &str) -> Result<Daemon> {
    let kubeconfig = place::kubeconfig_of(component);
    Ok(Daemon::new(program, go_program(program)?)
        .flag("kubeconfig", &kubeconfig)
        .flag("authentication-kubeconfig", &kubeconfig)
        .flag("authorization-kubeconfig", &kubeconfig)
        .flag("cert-dir", place::state().join(program)))
}

/// Whether something listens there.
pub fn accepts(port: u16) -> bool {
    TcpStream::connect((place::ADDRESS, port)).is_ok()
}
