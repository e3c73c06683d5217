//! `cargo xtask cluster test`: what a user of the chart lives through, on a real Kubernetes.
//! The chart is installed, sales are sold through their Services on real pods, and meanwhile
//! the operator is killed, pods are replaced, the chart is upgraded and uninstalled.
//!
//! Each case has a FlashSale of its own, named after it, and deletes it at its end. Whatever
//! else is in the cluster stays as it is, but for the operator.

mod chart_changes;
mod fixture;
mod operator_killed;
mod rolling_update;
mod whole_sale;

use anyhow::Result;

use self::fixture::Fixture;
use crate::{
    chart::Chart,
    cluster::{self, Cluster},
    project,
    session::Session,
    steps::{self, Step},
};

const ADVICE: &str = "the cluster stays: `kubectl describe flashsales -n shop`, \
     `kubectl logs -n shop deployment/flashsale-operator`; what the load generator printed is in \
     target/cluster/test/";

/// In the order in which a user would meet them.
fn cases<'a>() -> [Step<Fixture<'a>>; 6] {
    [
        (
            "the chart is installed, and helm test buys an item",
            chart_changes::is_installed_and_tested,
            ADVICE,
        ),
        (
            "a sale in two minutes is prepared, sold out and kept in the history",
            whole_sale::from_apply_to_history,
            ADVICE,
        ),
        (
            "the operator is killed before the start and the sale opens on time",
            operator_killed::before_the_start,
            ADVICE,
        ),
        (
            "all API pods are replaced under load and no request is lost",
            rolling_update::under_load,
            ADVICE,
        ),
        (
            "the chart is upgraded under load and the sale notices nothing",
            chart_changes::is_upgraded_under_load,
            ADVICE,
        ),
        (
            "the chart is uninstalled under load, the sale goes on, and the next install takes over",
            chart_changes::is_uninstalled_under_load,
            ADVICE,
        ),
    ]
}

/// Runs all cases, in the cluster of `cargo xtask cluster up`, which stays.
pub fn run(session: &Session) -> Result<()> {
    anyhow::ensure!(
        cluster::given().is_none(),
        "expected no KUBECONFIG: this kills, upgrades and uninstalls the operator, which is not \
         done to a cluster of yours; `env -u KUBECONFIG cargo xtask cluster test` uses one of its own"
    );
    let cluster = Cluster::up(session)?;
    let chart = Chart::new(session, &cluster)?;
    let fixture = Fixture {
        session,
        cluster: &cluster,
        chart,
        logs: project::output_folder("cluster/test")?,
    };
    fixture.clear()?;
    let result = steps::run(&cases(), &fixture);
    // Where a case failed, all stays as it is, to find the reason.
    if result.is_ok() {
        fixture.clear()?;
    }
    result
}
