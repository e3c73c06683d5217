//! The contract test: an off-the-shelf tester sends what the OpenAPI document
//! allows, and what it forbids, to a live API with an open sale. It must find no
//! undocumented status or body and no 5xx, and it must have seen a success of
//! every operation, else it tested refusals only. What it never sends is sent here:
//! a large body, a method that a path does not take, a path that is no text.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::Launch;
use jiff::SignedDuration;
use serde_json::Value;

use crate::{
    http,
    openapi::Document,
    project, python,
    session::Session,
    shop::Shop,
    stack::{Sale, Settings, Stack},
};

const OPENS_IN: SignedDuration = SignedDuration::from_secs(1);
const API_PROCESSES: usize = 2;
const OPEN_LIMIT: Duration = Duration::from_secs(30);
const CHECKS: &str = "not_a_server_error,status_code_conformance,\
                      content_type_conformance,response_schema_conformance";
/// More than the API reads, and than a socket holds.
const LARGE_BODY_BYTES: usize = 1_000_000;

/// Runs it; the programs must have been built in release mode.
pub fn run(session: &Session) -> Result<()> {
    let schemathesis = python::schemathesis(session)?;
    let folder = project::output_folder("contract")?;
    let settings = Settings {
        sale: Sale::of(None, OPENS_IN)?,
        api_processes: API_PROCESSES,
        worker_threads: None,
        logs: &folder,
    };
    let mut stack = Stack::start(session, settings)?;
    let sale = stack.await_open(session, OPEN_LIMIT)?;
    let api = stack.endpoints().api.first().cloned().unwrap_or_default();
    let document = Document::new(ask(http::get(&api, "/openapi.json"), "")?);

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
        .and_then(|()| check_successes(&calls, &document))
        .and_then(|()| check_refusals(&api, &document))
        // What ended because of the calls before is worse than what they answered.
        .and(stack.check());
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

fn check_successes(calls: &Path, document: &Document) -> Result<()> {
    let text = fs::read_to_string(calls).context("expected the tester to write its calls")?;
    let har: Value = serde_json::from_str(&text).context("in the tester's list of calls")?;
    let missing = without_success(&har, document);
    anyhow::ensure!(
        missing.is_empty(),
        "expected the tester to see each operation succeed once, it saw none of: {}",
        missing.join(", ")
    );
    Ok(())
}

/// The operations of the document that no call of the list has succeeded with.
fn without_success(har: &Value, document: &Document) -> Vec<String> {
    let entries = har.pointer("/log/entries").and_then(Value::as_array);
    let succeeded = |entry: &Value| {
        if entry.pointer("/response/status")?.as_u64()? != 200 {
            return None;
        }
        let method = entry.pointer("/request/method")?.as_str()?;
        let url = entry.pointer("/request/url")?.as_str()?;
        let path = url.splitn(4, '/').nth(3)?;
        let template = document.template(&format!("/{path}"))?;
        Some(format!("{method} {template}"))
    };
    let seen: BTreeSet<String> = entries
        .into_iter()
        .flatten()
        .filter_map(succeeded)
        .collect();
    let mut missing = document.operations();
    missing.retain(|operation| !seen.contains(operation));
    missing
}

/// Sends what the tester does not, and compares the statuses with the document.
fn check_refusals(api: &str, document: &Document) -> Result<()> {
    let checkout = "/checkout?user_id=ada&id=none";
    for (what, method, path, body, expected) in [
        (
            "a body of a megabyte",
            "POST",
            checkout,
            LARGE_BODY_BYTES,
            413,
        ),
        (
            "a method that the path does not take",
            "DELETE",
            checkout,
            0,
            405,
        ),
        ("a path that is no text", "GET", "/sales/%ff", 0, 400),
        ("a path that there is not", "GET", "/none/such", 0, 404),
    ] {
        let call = format!("{what} ({method} {path})");
        let (status, answer) = http::send(method, api, path, body)
            .with_context(|| format!("expected an answer to {call}"))?;
        anyhow::ensure!(
            status == expected && answer["code"].is_string(),
            "expected {expected} and a problem with a code for {call}, found {status}: {answer}"
        );
        // A path that is in no document has no statuses there.
        if let Some(template) = document.template(path) {
            anyhow::ensure!(
                document.documents(method, template, status),
                "expected the OpenAPI document to name the status {status} for {call}; \
                 add it to the responses of {template}"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_operation_must_have_succeeded_itself() {
        let document = crate::openapi::tests::document();
        let call = |method: &str, url: &str, status: u16| json!({"request": {"method": method, "url": url}, "response": {"status": status}});
        let har = json!({"log": {"entries": [
            call("GET", "http://127.0.0.1:1/sales/active", 200),
            call("POST", "http://127.0.0.1:1/checkout?user_id=a", 200),
            call("GET", "http://127.0.0.1:1/sales/x/items?limit=1", 200),
            // Refused, and of no operation.
            call("GET", "http://127.0.0.1:1/sales/x", 404),
            call("GET", "http://127.0.0.1:1/docs", 200),
        ]}});
        assert_eq!(without_success(&har, &document), ["GET /sales/{id}"]);
        assert_eq!(
            without_success(&json!({}), &document),
            document.operations()
        );
    }
}
