//! Which programs there are, and what they are built from.

use crate::ServersError;

/// Modules that are built from one `go.mod`.
pub(super) struct Group {
    /// Its folder in `tools/go`.
    pub(super) name: &'static str,
    /// The module whose version is that of its programs.
    pub(super) module: &'static str,
    /// Its programs and their packages.
    pub(super) programs: &'static [(&'static str, &'static str)],
}

pub(super) const GROUPS: &[Group] = &[
    Group {
        name: "kubernetes",
        module: "k8s.io/kubernetes",
        programs: &[
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            (
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            ("kubeadm", "k8s.io/kubernetes/cmd/kubeadm"),
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ],
    },
    Group {
        name: "etcd",
        module: "go.etcd.io/etcd/server/v3",
        programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    },
    Group {
        name: "helm",
        module: "helm.sh/helm/v3",
        programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    },
    Group {
        name: "starlark",
        module: "go.starlark.net",
        programs: &[("starlark", "go.starlark.net/cmd/starlark")],
    },
    Group {
        name: "coredns",
        module: "github.com/coredns/coredns",
        programs: &[("coredns", "flashsale.dev/tools/coredns")],
    },
    Group {
        name: "metrics-server",
        module: "sigs.k8s.io/metrics-server",
        programs: &[(
            "metrics-server",
            "sigs.k8s.io/metrics-server/cmd/metrics-server",
        )],
    },
];

/// The group of a program, and its package.
pub(super) fn find(name: &str) -> Result<(&'static Group, &'static str), ServersError> {
    let all = || GROUPS.iter().flat_map(|group| group.programs);
    GROUPS
        .iter()
        .find_map(|group| {
            let mut programs = group.programs.iter();
            let (_, package) = programs.find(|(program, _)| *program == name)?;
            Some((group, *package))
        })
        .ok_or_else(|| ServersError::GoProgramUnknown {
            name: name.to_owned(),
            known: all().map(|(program, _)| *program).collect(),
        })
}
