//! Servers that the tests share.

use std::sync::OnceLock;

use flashsale_servers::{KubeApi, Postgres, RedisCluster};

use super::super::backends::start_postgres;

/// Servers that no test breaks. They end with the program.
pub struct Shared {
    pub kubernetes: KubeApi,
    pub redis: RedisCluster,
    pub postgres: Postgres,
}

pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let kubernetes = std::thread::spawn(start_kubernetes);
        Shared {
            postgres: start_postgres(),
            redis: RedisCluster::single().unwrap(),
            kubernetes: kubernetes.join().unwrap(),
        }
    })
}

/// An API server with the kind FlashSale.
pub fn start_kubernetes() -> KubeApi {
    let kubernetes = KubeApi::start().unwrap();
    let definition = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/flashsales.flashsale.dev.yaml"
    );
    let run = |arguments: &[&str]| {
        let output = kubernetes.kubectl().args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    run(&["apply", "-f", definition]);
    let established = "--for=condition=Established";
    run(&["wait", established, "crd/flashsales.flashsale.dev"]);
    kubernetes
}
