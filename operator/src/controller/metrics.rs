//! The operator's own metrics.

use flashsale_engine::{Clock, Timer};
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// The outcome of a reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing was due.
    Idle,
    /// What was due was done, or is retried by the driver.
    Done,
    /// The FlashSale is refused.
    Refused,
    /// A request to the API server failed, or leadership was lost.
    Failed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The metrics.
pub(super) struct Metrics {
    registry: Registry,
    /// 1 while this process leads.
    pub(super) is_leader: IntGauge,
    /// FlashSales that are reconciled.
    pub(super) flash_sales: IntGauge,
    /// Reconciliations, by outcome.
    reconciliations: IntCounterVec,
    /// How long they took.
    seconds: Histogram,
}

impl Metrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            is_leader: IntGauge::new(
                "flashsale_operator_leading",
                "1 while this process holds the Lease",
            )?,
            flash_sales: IntGauge::new(
                "flashsale_operator_flash_sales",
                "FlashSales that are reconciled",
            )?,
            reconciliations: IntCounterVec::new(
                Opts::new(
                    "flashsale_operator_reconciliations_total",
                    "Reconciliations of a FlashSale, by outcome: idle, done, refused or failed",
                ),
                &["outcome"],
            )?,
            seconds: Histogram::with_opts(HistogramOpts::new(
                "flashsale_operator_reconciliation_seconds",
                "How long a reconciliation of a FlashSale took, without those with nothing to do",
            ))?,
        };
        let Self {
            registry,
            is_leader,
            flash_sales,
            reconciliations,
            seconds,
        } = &metrics;
        registry.register(Box::new(is_leader.clone()))?;
        registry.register(Box::new(flash_sales.clone()))?;
        registry.register(Box::new(reconciliations.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(metrics)
    }

    /// Starts the measurement of a reconciliation.
    pub(super) fn measure(&self, clock: &Clock) -> Measurement<'_> {
        Measurement {
            metrics: self,
            timer: clock.start_timer(),
            outcome: Outcome::Failed,
        }
    }

    /// All metrics as Prometheus reads them.
    pub(super) fn encode(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// A reconciliation that is measured. It counts as failed unless it is finished.
pub(super) struct Measurement<'a> {
    metrics: &'a Metrics,
    timer: Timer,
    outcome: Outcome,
}

impl Measurement<'_> {
    /// Ends the measurement.
    pub(super) fn finish(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Measurement<'_> {
    fn drop(&mut self) {
        let Self {
            metrics,
            timer,
            outcome,
        } = self;
        let reconciliations = &metrics.reconciliations;
        reconciliations.with_label_values(&[outcome.as_str()]).inc();
        if *outcome != Outcome::Idle {
            metrics.seconds.observe(timer.elapsed().as_secs_f64());
        }
    }
}
