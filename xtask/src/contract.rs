//! The contract test: an off-the-shelf tester sends what the OpenAPI document
//! allows, and what it forbids, to a live API with an open sale. It must find no
//! undocumented status or body and no 5xx, and it must have seen a success of
//! every call, else it tested refusals only.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::Launch;
use jiff::SignedDuration;
use serde_json::Value;

use crate::{
    http, project, python,
    session::Session,
    stack::{Sale, Settings, Stack},
};

const OPENS_IN: SignedDuration = SignedDuration::from_secs(1);
const OPEN_LIMIT: Duration = Duration::from_secs(30);
const CHECKS: &str = "not_a_server_error,status_code_conformance,\
                      content_type_conformance,response_schema_conformance";
/// Calls by method and the first part of the path.
const MUST_SUCCEED: [&str; 6] = [
    "GET /checkout",
    "GET /health",
    "GET /purchase",
    "GET /sales",
    "POST /checkout",
    "POST /purchase",
];

/// Runs it; the programs must have been built in release mode.
pub fn run(session: &Session) -> Result<()> {
    let schemathesis = python::schemathesis(session)?;
    let folder = project::output_folder("contract")?;
    let settings = Settings {
        sale: Sale::of(None, OPENS_IN)?,
        worker_threads: None,
        logs: &folder,
    };
    let mut stack = Stack::start(session, settings)?;
    let sale = stack.await_open(session, OPEN_LIMIT)?;
    let api = stack.endpoints().api.first().cloned().unwrap_or_default();

    let config = session.guard().folder().join("schemathesis.toml");
    fs::write(&config, dictionaries(&api, &sale)?).context("the tester's configuration")?;
    let calls = folder.join("calls.har");
    let tester = Launch::new("schemathesis", schemathesis)
        .inherit_output()
        .arg("--config-file")
        .arg(&config)
        .args(["run", "--checks", CHECKS])
        // The same cases in every run: a change fails by what it changes, not by chance.
        .args([
            "--seed",
            "1",
            "--max-examples",
            "50",
            "--generation-database",
            "none",
        ])
        .args([
            "--request-timeout",
            "10",
            "--max-failures",
            "20",
            "--no-color",
        ])
        .args(["--report", "har", "--report-har-path"])
        .arg(&calls)
        .arg(format!("{api}/openapi.json"));
    let result = session
        .run(tester)
        .and_then(|()| stack.check())
        .and_then(|()| check_successes(&calls));
    stack.stop();
    result.with_context(|| format!("calls and logs are in {}", folder.display()))
}

/// The tester's configuration, with ids and codes that are there: drawn at random
/// they never would be. One of the codes is bought, one cart holds what it holds.
fn dictionaries(api: &str, sale: &str) -> Result<String> {
    let page = ask(
        http::get(api, &format!("/sales/{sale}/items?limit=4")),
        "/items",
    )?;
    let ids = page.as_array().map_or(&[][..], Vec::as_slice);
    let items: Vec<&str> = ids.iter().filter_map(|item| item["id"].as_str()).collect();
    anyhow::ensure!(
        items.len() == 4,
        "expected four items on the first page, found {page}"
    );

    let mut codes = Vec::new();
    for (user, item) in [("ada", items[0]), ("bob", items[1]), ("eve", items[1])] {
        let path = format!("/checkout?user_id={user}&id={item}");
        let code = ask(http::post(api, &path), "/code")?;
        codes.push(
            code.as_str()
                .context("expected text as checkout code")?
                .to_owned(),
        );
    }
    ask(
        http::post(api, &format!("/purchase?code={}", codes[1])),
        "/total_purchased",
    )?;

    let mut config = String::new();
    for (name, values) in [
        ("users", vec!["ada", "bob"]),
        ("items", items[1..].to_vec()),
        ("sales", vec![sale]),
        ("codes", codes.iter().map(String::as_str).collect()),
    ] {
        config += &format!("[dictionaries.{name}]\nvalues = {values:?}\n");
    }
    config += "[parameters]\n";
    for (parameter, dictionary) in [
        ("query.user_id", "users"),
        ("query.id", "items"),
        ("path.id", "sales"),
        ("query.code", "codes"),
        ("path.code", "codes"),
    ] {
        config +=
            &format!("\"{parameter}\" = {{ dictionary = \"{dictionary}\", probability = 0.7 }}\n");
    }
    Ok(config)
}

/// The part of a successful answer at `pointer`.
fn ask(answer: std::io::Result<(u16, Value)>, pointer: &str) -> Result<Value> {
    let (status, body) = answer.context("preparing the contract test")?;
    let part = body.pointer(pointer).filter(|_| status == 200).cloned();
    part.with_context(|| format!("expected 200 and {pointer}, found {status}: {body}"))
}

fn check_successes(calls: &Path) -> Result<()> {
    let text = fs::read_to_string(calls).context("expected the tester to write its calls")?;
    let har: Value = serde_json::from_str(&text).context("in the tester's list of calls")?;
    let seen = successes(&har);
    let missing: Vec<&str> = MUST_SUCCEED
        .into_iter()
        .filter(|call| !seen.contains(*call))
        .collect();
    anyhow::ensure!(
        missing.is_empty(),
        "expected the tester to see each call succeed once, it saw none of: {}",
        missing.join(", ")
    );
    Ok(())
}

fn successes(har: &Value) -> BTreeSet<String> {
    let entries = har.pointer("/log/entries").and_then(Value::as_array);
    let call = |entry: &Value| {
        if entry.pointer("/response/status")?.as_u64()? != 200 {
            return None;
        }
        let method = entry.pointer("/request/method")?.as_str()?;
        let url = entry.pointer("/request/url")?.as_str()?;
        let path = url.splitn(4, '/').nth(3)?;
        let first = path.split(['/', '?']).next()?;
        Some(format!("{method} /{first}"))
    };
    entries.into_iter().flatten().filter_map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_successes_count() {
        let call = |method: &str, url: &str, status: u16| json!({"request": {"method": method, "url": url}, "response": {"status": status}});
        let har = json!({"log": {"entries": [
            call("GET", "http://127.0.0.1:1/sales/active", 200),
            call("POST", "http://127.0.0.1:1/checkout?user_id=a", 200),
            call("POST", "http://127.0.0.1:1/purchase?code=a", 404),
        ]}});
        let seen: Vec<String> = successes(&har).into_iter().collect();
        assert_eq!(seen, ["GET /sales", "POST /checkout"]);
        assert!(successes(&json!({})).is_empty());
    }
}
