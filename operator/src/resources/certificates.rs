//! The certificates of an API pod: those entries of the Secrets of its backends, as files.
//!
//! Guarantees: a Secret without certificates mounts as an empty folder; the URL, which holds a
//! password, is no file.

use flashsale_engine::Certificates;
use k8s_openapi::api::core::v1::{KeyToPath, SecretVolumeSource, Volume, VolumeMount};

use crate::crd::{FlashSaleSpec, KeyRef};

/// A backend of an API pod.
#[derive(Clone, Copy)]
pub(super) struct Backend {
    /// The name of its volume.
    volume: &'static str,
    /// Where the volume is mounted.
    folder: &'static str,
}

pub(super) const REDIS: Backend = Backend {
    volume: "redis-certificates",
    folder: "/etc/flashsale/redis",
};

pub(super) const POSTGRES: Backend = Backend {
    volume: "postgres-certificates",
    folder: "/etc/flashsale/postgres",
};

/// The folder with the certificates of a backend.
pub(super) fn folder(backend: Backend) -> String {
    backend.folder.to_owned()
}

/// The volumes of a pod.
pub(super) fn volumes(spec: &FlashSaleSpec) -> Vec<Volume> {
    vec![
        volume(REDIS, &spec.redis.secret_key_ref),
        volume(POSTGRES, &spec.postgres.secret_key_ref),
    ]
}

/// Where the volumes are in the container.
pub(super) fn mounts() -> Vec<VolumeMount> {
    let mount = |backend: Backend| VolumeMount {
        name: backend.volume.to_owned(),
        mount_path: backend.folder.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    vec![mount(REDIS), mount(POSTGRES)]
}

fn volume(backend: Backend, reference: &KeyRef) -> Volume {
    let item = |entry: &str| KeyToPath {
        key: entry.to_owned(),
        path: entry.to_owned(),
        mode: None,
    };
    Volume {
        name: backend.volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(reference.name.clone()),
            items: Some(Certificates::ENTRIES.map(item).to_vec()),
            // Neither the Secret nor one of the entries has to exist for the pod to start.
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}
