//! A Redis that records the replies of the fake one, or replays them without it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use flashsale_engine::BackendError;
use flashsale_engine::redis::commands::{MasterAnswer, Redis};
use flashsale_fakes::FakeRedis;
use redis::{Cmd, Value};

type Replies = VecDeque<Result<Value, BackendError>>;

#[derive(Debug)]
enum Mode {
    /// The fake replies, and nothing is kept.
    Pass,
    /// The fake replies, and its replies are kept.
    Record(Replies),
    /// What was recorded is the reply.
    Replay(Replies),
}

/// A handle; clones share it.
#[derive(Debug, Clone)]
pub struct Recorder {
    fake: FakeRedis,
    mode: Arc<Mutex<Mode>>,
}

impl Recorder {
    pub fn new(fake: FakeRedis) -> Self {
        let mode = Arc::new(Mutex::new(Mode::Pass));
        Self { fake, mode }
    }

    /// Keeps the replies to the calls that follow.
    pub fn record(&self) {
        *self.mode.lock().unwrap() = Mode::Record(Replies::new());
    }

    /// Ends the recording; returns the replies.
    pub fn recorded(&self) -> Replies {
        match std::mem::replace(&mut *self.mode.lock().unwrap(), Mode::Pass) {
            Mode::Record(replies) => replies,
            other => panic!("expected a recording, found {other:?}"),
        }
    }

    /// Answers the calls that follow with these replies.
    pub fn replay(&self, replies: Replies) {
        *self.mode.lock().unwrap() = Mode::Replay(replies);
    }

    /// A Redis that has these replies and no fake behind it that anything is sent to.
    pub fn of_replies(fake: FakeRedis, replies: Replies) -> Self {
        let recorder = Self::new(fake);
        recorder.replay(replies);
        recorder
    }
}

impl Redis for Recorder {
    async fn call(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<Value, BackendError> {
        if let Mode::Replay(replies) = &mut *self.mode.lock().unwrap() {
            return replies.pop_front().expect("a reply for each call");
        }
        let reply = self.fake.call(operation, key, command).await;
        if let Mode::Record(replies) = &mut *self.mode.lock().unwrap() {
            replies.push_back(reply.clone());
        }
        reply
    }

    async fn call_all_masters(&self, operation: &'static str, command: &Cmd) -> Vec<MasterAnswer> {
        self.fake.call_all_masters(operation, command).await
    }

    /// Blocking reads go to the fake: they are no part of a request.
    async fn stream_reader(&self) -> Result<Self, BackendError> {
        Ok(Self::new(self.fake.clone()))
    }
}
