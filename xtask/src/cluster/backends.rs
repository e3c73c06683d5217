//! Redis Cluster and Postgres in a cluster: what `k8s/dev` describes.

use anyhow::{Context, Result};

use super::kubectl::Kubectl;
use crate::{project, session::Session};

/// Where the cluster gets the images of Redis and Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// Made here and imported.
    Local,
    /// Of a public registry.
    Public,
}

/// What has to be there before a FlashSale can be seeded.
const PARTS: [&str; 3] = [
    "statefulset/flashsale-postgres",
    "statefulset/flashsale-redis",
    // Ready while the six nodes are one cluster.
    "deployment/flashsale-redis-join",
];

/// From the images being there; public ones may have to be fetched.
const LIMIT: &str = "--timeout=300s";

/// Applies `k8s/dev` and waits until all of it is ready.
pub fn apply(session: &Session, kubectl: &Kubectl, images: Images) -> Result<()> {
    let folder = match images {
        Images::Local => "k8s/dev-local-images",
        Images::Public => "k8s/dev",
    };
    let path = project::root().join(folder).display().to_string();
    session.say(format_args!(
        "Redis Cluster and Postgres ({folder}) in the namespace default"
    ));
    kubectl.run(session, &["apply", "-k", &path])?;
    for part in PARTS {
        kubectl
            .run(
                session,
                &["rollout", "status", "-n", "default", LIMIT, part],
            )
            .with_context(|| {
                format!(
                    "{part} did not become ready; `kubectl describe -n default {part}` and \
                     `kubectl logs -n default {part}` tell more"
                )
            })?;
    }
    Ok(())
}
