//! The program that `cargo xtask budget` measures.
//!
//! `budget calls` prints how many calls of Redis, commands in Redis and operations on Postgres a
//! request costs. `budget cases` lists the cases of the hot path. `budget instructions CASE` runs
//! one of them; Callgrind counts what happens in [`cases::budget_measured`].
//!
//! Guarantees: one thread, paused time, fixed rng seeds. The engine's requests to Redis are
//! replayed from an earlier, equal run while instructions are counted, so that the Lua interpreter
//! of the fake Redis is not among them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cases;
mod parts;
mod recorder;
mod requests;
mod sale;

use cases::Selection;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let selection = match arguments[..] {
        ["calls"] => return requests::count_calls(),
        ["cases"] => Selection::List,
        ["instructions", case] => Selection::One(case.to_owned()),
        _ => panic!("expected `calls`, `cases` or `instructions CASE`, found {arguments:?}"),
    };
    parts::measure_all(&selection);
    requests::measure_all(&selection);
}
