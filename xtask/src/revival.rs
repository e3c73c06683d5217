//! A demo goes on when something of it ends, as a cluster would: what has ended is started again,
//! where it was. So a fault can be made by hand, `kill -9` included, and watched.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    session::Session,
    stack::{Part, Stack},
};

/// A program of the product is back about as soon as a cluster would bring it back.
const PROGRAM_PAUSE: Duration = Duration::from_secs(1);
/// A server stays away for a while: a replica takes over from a Redis master meanwhile, which an
/// empty master that is back too early would prevent.
const SERVER_PAUSE: Duration = Duration::from_secs(10);

/// Since when something has ended, or since the last try to start it again.
#[derive(Default)]
pub struct Revival {
    since: HashMap<Part, Instant>,
}

impl Revival {
    /// Starts again what ended long enough ago, with a message.
    pub fn check(&mut self, session: &Session, stack: &mut Stack) {
        let ended = stack.ended();
        self.since
            .retain(|part, _| ended.iter().any(|(other, _)| other == part));
        for (part, how) in ended {
            let pause = match part {
                Part::Api(_) | Part::Operator => PROGRAM_PAUSE,
                Part::Redis(_) | Part::Postgres => SERVER_PAUSE,
            };
            let Some(since) = self.since.get_mut(&part) else {
                let seconds = pause.as_secs();
                session.say(format_args!(
                    "{part} has ended; it is started again in {seconds} s. {how}"
                ));
                self.since.insert(part, Instant::now());
                continue;
            };
            if since.elapsed() < pause {
                continue;
            }
            *since = Instant::now();
            match stack.start_again(part) {
                Ok(()) => session.say(format_args!("Started {part} again")),
                Err(error) => session.say(format_args!("{part} could not be started: {error:#}")),
            }
        }
    }
}
