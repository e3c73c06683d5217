//! Settles what other processes left: claims and attempts in the streams whose owner died.
//!
//! Guarantees: reads with a consumer group, so that processes share the work and what one left is
//! taken by another; an event is trimmed only behind Postgres; everything can be done twice. A
//! process settles its own claims and attempts itself, much sooner.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::attempt::{Attempt, AttemptRequest};
use crate::domain::clock::Clock;
use crate::domain::code::CheckoutCode;
use crate::domain::error::BackendError;
use crate::domain::event::Event;
use crate::domain::outcome::Claim;
use crate::domain::random::Random;
use crate::domain::sale::{FlashSaleName, Sale, SaleId};
use crate::observability::metrics::Metrics;
use crate::postgres::commit::{CommitOutcome, commit, read_agreements};
use crate::postgres::operations::Postgres;
use crate::recovery::correct::correct;
use crate::recovery::trim_events::trim_events;
use crate::redis::codec::Format;
use crate::redis::commands::Redis;
use crate::redis::keys::{PartitionKeys, SaleKeys, refusals};
use crate::redis::streams::{self, StreamEntry};

/// A claim that its own process has not acknowledged after this long is committed by another.
pub(crate) const CLAIM_GRACE: Duration = Duration::from_secs(3);

/// An attempt that its own process has not settled after this long is settled by another.
pub(crate) const ATTEMPT_GRACE: Duration = Duration::from_secs(3);

/// A claim younger than this is left to its own process, in milliseconds.
const OWNER_COMMITS_MS: i64 = 1_000;

/// Entries that one step takes at the most.
pub(crate) const ENTRIES: usize = 200;

/// Settles streams under one consumer name.
#[derive(Debug)]
pub(crate) struct Settler<R, P> {
    postgres: Arc<P>,
    redis: R,
    metrics: Arc<Metrics>,
    clock: Clock,
    newest_format: Format,
    consumer: String,
}

impl<R: Redis, P: Postgres> Settler<R, P> {
    /// A settler with a consumer name of its own.
    pub(crate) fn new(
        postgres: Arc<P>,
        redis: R,
        metrics: Arc<Metrics>,
        (clock, random): (&Clock, &Random),
        newest_format: Format,
    ) -> Self {
        Self {
            postgres,
            redis,
            metrics,
            clock: clock.clone(),
            newest_format,
            consumer: format!("{:016x}", random.next_u64()),
        }
    }

    /// Commits claims that are in the event stream and not in Postgres. Returns how many entries it
    /// took; 0 means that nothing is left to take.
    pub(crate) async fn settle_claims(
        &self,
        sale: &Sale,
        idle: Duration,
    ) -> Result<usize, BackendError> {
        let keys = SaleKeys::new(&sale.id, self.newest_format.of(sale)?);
        let entries = self.take(&keys.events, idle).await?;
        if entries.is_empty() {
            return Ok(0);
        }
        let mut claims = Vec::new();
        for entry in &entries {
            let Some(text) = entry.get::<String>("e") else {
                continue;
            };
            for event in keys.format.decode_events(&text)? {
                if let Event::Claimed { suffix, outcome } = event {
                    claims.push(Claim {
                        code: CheckoutCode {
                            sale: sale.id.clone(),
                            suffix,
                        },
                        outcome,
                        replayed: false,
                    });
                }
            }
        }
        self.commit(&keys, &claims).await?;
        streams::acknowledge(&self.redis, &keys.events, &entries).await?;
        trim_events(&self.redis, &self.clock, &keys.events).await?;
        Ok(entries.len())
    }

    async fn commit(&self, keys: &SaleKeys, claims: &[Claim]) -> Result<(), BackendError> {
        let postgres = &*self.postgres;
        let agreements = self.await_agreements(claims).await?;
        let mut missing = Vec::new();
        for (claim, agrees) in claims.iter().zip(&agreements) {
            match agrees {
                Some(true) => {}
                None => missing.push(claim.clone()),
                // Committing again returns the outcome that Postgres has.
                Some(false) => missing.push(Claim {
                    replayed: true,
                    ..claim.clone()
                }),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let claims: Vec<&Claim> = missing.iter().collect();
        let committed = commit(postgres, &claims).await?;
        let differing = agreements
            .iter()
            .filter(|agrees| **agrees == Some(false))
            .count();
        let recovered = missing.len().saturating_sub(differing);
        self.metrics.claims_recovered.inc_by(recovered as u64);
        for (claim, outcome) in missing.iter().zip(committed) {
            let CommitOutcome::Committed(committed) = outcome else {
                tracing::warn!(
                    sale = %claim.sale(),
                    request_id = claim.outcome.request_id,
                    "a claim came after its sale was settled: it buys nothing"
                );
                continue;
            };
            if committed.is_new {
                let sold = committed.outcome.sold_count() as u64;
                self.metrics.sale_items_sold_total.inc_by(sold);
            }
            if committed.is_corrected {
                let truth = &committed.outcome;
                correct(postgres, &self.redis, &self.metrics, keys, claim, truth).await?;
            }
        }
        Ok(())
    }

    /// Whether Postgres agrees with each claim, in the same order; none where it has no order once the
    /// process that claimed has had its time.
    async fn await_agreements(&self, claims: &[Claim]) -> Result<Vec<Option<bool>>, BackendError> {
        let claims: Vec<&Claim> = claims.iter().collect();
        let mut agreements = read_agreements(&*self.postgres, &claims).await?;
        let unknown = claims.iter().zip(&agreements);
        let unknown: Vec<&Claim> = unknown
            .filter_map(|(claim, agrees)| agrees.is_none().then_some(*claim))
            .collect();
        let newest_ms = unknown.iter().map(|claim| claim.outcome.at_ms).max();
        let young = newest_ms.map_or(0, |at| at + OWNER_COMMITS_MS - self.clock.now_ms());
        if young > 0 {
            // The process that claimed is most likely committing; two that commit one claim get in
            // the way of each other.
            let wait = young.min(OWNER_COMMITS_MS).unsigned_abs();
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let again = read_agreements(&*self.postgres, &unknown).await?;
            let missing = agreements.iter_mut().filter(|agrees| agrees.is_none());
            for (agrees, now) in missing.zip(again) {
                *agrees = now;
            }
        }
        Ok(agreements)
    }

    /// Settles attempts older than `grace` of every stream that the sale uses. Returns how many
    /// entries it took. A stream that cannot be read keeps no other from being settled; its error
    /// is returned at the end.
    pub(crate) async fn settle_attempts(
        &self,
        sale: &Sale,
        grace: Duration,
    ) -> Result<usize, BackendError> {
        let format = self.newest_format.of(sale)?;
        let id = Arc::new(sale.id.clone());
        let flash_sale = sale.id.flash_sale();
        let mut taken = self.settle_refusals(flash_sale, grace).await;
        let kind = StreamKind::Partition(format, id);
        for keys in PartitionKeys::of_sale(&sale.id, sale.partitions, format) {
            let stream = &keys.attempts;
            let settled = self.settle_stream(stream, grace, &kind, flash_sale).await;
            taken = taken.and_then(|taken| Ok(taken + settled?));
        }
        taken
    }

    /// Settles refused attempts older than `grace`. As with [`Settler::settle_attempts`], a stream
    /// that cannot be read keeps no other from being settled.
    pub(crate) async fn settle_refusals(
        &self,
        flash_sale: &FlashSaleName,
        grace: Duration,
    ) -> Result<usize, BackendError> {
        let kind = StreamKind::Refusals(self.newest_format);
        let mut taken = Ok(0);
        for stream in refusals(flash_sale) {
            let settled = self.settle_stream(&stream, grace, &kind, flash_sale).await;
            taken = taken.and_then(|taken| Ok(taken + settled?));
        }
        taken
    }

    /// Settles the entries of a stream that this version can read. Another one stays pending, for a
    /// process of a newer version.
    async fn settle_stream(
        &self,
        stream: &str,
        grace: Duration,
        kind: &StreamKind,
        flash_sale: &FlashSaleName,
    ) -> Result<usize, BackendError> {
        if !self.has_older(stream, grace).await? {
            return Ok(0);
        }
        let mut settled = Vec::new();
        let mut found = Vec::new();
        for entry in self.take(stream, grace).await? {
            if let Some(attempts) = kind.decode(&entry)? {
                found.extend(attempts);
                settled.push(entry);
            }
        }
        if settled.is_empty() {
            return Ok(0);
        }
        let attempts: Vec<&Attempt> = found.iter().collect();
        self.postgres.append_attempts(flash_sale, &attempts).await?;
        let recovered = found.len() as u64;
        self.metrics.attempts_recovered.inc_by(recovered);
        streams::acknowledge(&self.redis, stream, &settled).await?;
        let ids = settled.iter().map(|entry| entry.id.as_str());
        streams::delete(&self.redis, "settle", stream, ids).await?;
        Ok(settled.len())
    }

    /// Whether the oldest entry of a stream is older than `grace`: while owners settle their
    /// own, this is all that a settler asks.
    async fn has_older(&self, stream: &str, grace: Duration) -> Result<bool, BackendError> {
        let Some(id) = streams::oldest(&self.redis, stream).await? else {
            return Ok(false);
        };
        let age_ms = self.clock.now_ms() - streams::entry_ms(&id);
        Ok(age_ms >= i64::try_from(grace.as_millis()).unwrap_or(i64::MAX))
    }

    async fn take(&self, stream: &str, idle: Duration) -> Result<Vec<StreamEntry>, BackendError> {
        streams::take(&self.redis, stream, &self.consumer, idle, ENTRIES).await
    }

    /// Whether a process still has claims or attempts on their way.
    pub(crate) async fn is_anything_unsettled(&self, sale: &Sale) -> Result<bool, BackendError> {
        let format = self.newest_format.of(sale)?;
        let events = SaleKeys::new(&sale.id, format).events;
        if streams::pending(&self.redis, &events).await?.count != 0 {
            return Ok(true);
        }
        for keys in PartitionKeys::of_sale(&sale.id, sale.partitions, format) {
            if streams::len(&self.redis, &keys.attempts).await? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What the entries of a stream of attempts hold.
enum StreamKind {
    /// Attempts of a cart partition of this sale, in the format of the sale.
    Partition(Format, Arc<SaleId>),
    /// Refused attempts; each entry has the version of its format, of which the process reads those
    /// up to this one.
    Refusals(Format),
}

impl StreamKind {
    /// The attempts of an entry; none for a version that this process does not read.
    fn decode(&self, entry: &StreamEntry) -> Result<Option<Vec<Attempt>>, BackendError> {
        match self {
            Self::Partition(format, sale) => decode_attempts(entry, *format, sale).map(Some),
            Self::Refusals(newest_format) => decode_refused(entry, *newest_format),
        }
    }
}

/// The attempts of an entry of a cart partition: requests, with what the script decided of each.
fn decode_attempts(
    entry: &StreamEntry,
    format: Format,
    sale: &Arc<SaleId>,
) -> Result<Vec<Attempt>, BackendError> {
    let text = |field: &str| entry.get::<String>(field).unwrap_or_default();
    let requests = format.decode_requests(&text("b"))?;
    let decided = format.decode_added_list(&text("o"))?;
    if requests.len() != decided.len() {
        return Err(BackendError::unexpected(
            "entry of an attempt stream",
            "as many answers as requests",
            (requests.len(), decided.len()),
        ));
    }
    let attempt =
        |(request, added): (AttemptRequest, _)| Attempt::decided(request, sale.clone(), &added);
    Ok(requests.into_iter().zip(decided).map(attempt).collect())
}

/// The attempts of an entry of refused attempts.
fn decode_refused(
    entry: &StreamEntry,
    newest_format: Format,
) -> Result<Option<Vec<Attempt>>, BackendError> {
    let version: u16 = entry.get("v").unwrap_or_default();
    let Some(format) = newest_format.of_version(version) else {
        tracing::warn!(
            entry = entry.id,
            version,
            "refused attempts of an unknown format stay"
        );
        return Ok(None);
    };
    let text: String = entry.get("b").unwrap_or_default();
    format.decode_refused(&text).map(Some)
}
