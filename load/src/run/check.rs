//! The check after a run: reads from Postgres what was stored and judges what was answered.
//!
//! Promises: a Postgres that comes back in time is waited for; it ends in bounded time; what
//! it could not read is an error, never a verdict.

use std::time::{Duration, Instant, SystemTime};

use crate::checker;
use crate::checker::history::History;
use crate::checker::reader::Reader;
use crate::checker::verdict::Verdict;
use crate::error::LoadError;
use crate::run::Run;
use crate::run::progress::Progress;

/// How long attempts may take to be settled, after the run or after Postgres's return.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);
/// A settler takes over what lies about for three seconds, looks every second, and needs a
/// moment: a row that it writes although there is one already comes as late as this.
const LATE_ROWS: Duration = Duration::from_secs(6);
/// Reading everything about a million purchases takes some seconds.
const READ_WITHIN: Duration = Duration::from_secs(180);
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// What is checked.
pub(crate) struct Check<'a> {
    /// The database.
    pub(crate) url: &'a str,
    /// The run.
    pub(crate) run: &'a Run,
    /// What it asked and was answered.
    pub(crate) history: &'a History,
    /// When it began.
    pub(crate) since: SystemTime,
    /// How long Postgres may be away.
    pub(crate) away_at_most: Duration,
    /// Somebody waits for the end: do not wait for rows that may never come.
    pub(crate) in_haste: bool,
}

impl Check<'_> {
    /// Reads and judges.
    pub(crate) async fn make(&self, progress: &Progress) -> Result<Vec<Verdict>, LoadError> {
        let clock = self.run.clock;
        let ended = clock.now();
        let mut settled_by = ended + self.or_none(SETTLE_WITHIN);
        let late_rows_by = ended + self.or_none(LATE_ROWS);
        let mut reader = None;
        let mut away_since: Option<Instant> = None;
        loop {
            let read = self.read(&mut reader, settled_by, late_rows_by);
            match tokio::time::timeout(READ_WITHIN, read).await {
                Ok(Ok(Some(verdicts))) => return Ok(verdicts),
                // Attempts of calls without an answer were counted among those waited for, so
                // some may still be on their way. Nothing else heals by waiting.
                Ok(Ok(None)) => {}
                Ok(Err(error @ LoadError::Postgres { .. })) => {
                    let since = *away_since.get_or_insert_with(|| {
                        progress.message(&format!("{error}; trying again"));
                        clock.now()
                    });
                    if clock.since(since) >= self.away_at_most {
                        return Err(error);
                    }
                    reader = None;
                    settled_by = clock.now() + self.or_none(SETTLE_WITHIN);
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let limit_s = READ_WITHIN.as_secs();
                    return Err(LoadError::CheckTooSlow { limit_s });
                }
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }

    fn or_none(&self, wait: Duration) -> Duration {
        if self.in_haste { Duration::ZERO } else { wait }
    }

    /// `None` while rows are missing that may still come.
    async fn read(
        &self,
        reader: &mut Option<Reader>,
        settled_by: Instant,
        late_rows_by: Instant,
    ) -> Result<Option<Vec<Verdict>>, LoadError> {
        let Self {
            run,
            history,
            since,
            ..
        } = *self;
        let reader = match reader {
            Some(reader) => reader,
            none => none.insert(Reader::connect(self.url).await?),
        };
        let expected = history.must_be_logged();
        reader
            .await_attempts(&run.id, since, expected, settled_by, run.clock)
            .await?;
        tokio::time::sleep_until(late_rows_by.into()).await;
        let stored_rows = reader
            .read(&run.catalogue, &history.sales(), &run.id, since)
            .await?;
        let missing = checker::missing_attempts(history, &stored_rows);
        if missing > 0 && run.clock.now() < settled_by {
            return Ok(None);
        }
        Ok(Some(checker::check(
            history,
            &stored_rows,
            &run.id,
            &run.catalogue,
        )))
    }
}
