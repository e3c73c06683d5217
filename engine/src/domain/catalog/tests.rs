#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;
use std::time::Instant;

use super::*;

fn csv(text: &str) -> Result<Catalog, CatalogError> {
    Catalog::from_csv(text.as_bytes())
}

/// The message that a wrong CSV gives.
fn refusal(text: impl AsRef<[u8]>) -> String {
    Catalog::from_csv(text.as_ref())
        .expect_err("this is no catalogue")
        .to_string()
}

#[test]
fn a_generated_catalogue_is_the_same_every_time_and_reads_well() {
    let catalog = Catalog::generate(10_000, "20261123T0800Z").unwrap();
    let again = Catalog::generate(10_000, "20261123T0800Z").unwrap();

    assert!(catalog.iter().eq(again.iter()));
    assert_eq!(catalog.len(), 10_000);
    assert_eq!(catalog.get(41).unwrap().id, "20261123T0800Z-00042");
    assert_eq!(catalog.by_id("20261123T0800Z-10000").unwrap().idx, 9_999);
    assert_eq!(catalog.get(10_000), None);
    assert_eq!(
        catalog.by_id("20261123T0900Z-00042"),
        None,
        "an id of another sale"
    );

    let names: HashSet<_> = catalog.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names.len(), 10_000, "every item has a name of its own");
    let words: Vec<_> = catalog.get(0).unwrap().name.split(' ').collect();
    assert_eq!(words.len(), 3, "colour, material, thing: {words:?}");
}

#[test]
fn the_time_for_a_million_items_grows_with_their_number_and_not_faster() {
    let timed = |count| {
        let start = Instant::now();
        let catalog = Catalog::generate(count, "20261123T0800Z").unwrap();
        (catalog, start.elapsed())
    };
    let (_, tenth) = timed(MAX_ITEMS / 10);
    let (catalog, all) = timed(MAX_ITEMS);
    // Ten times as long, within what a busy machine adds; a look through all names for each would
    // take a hundred times as long.
    assert!(all < tenth * 40, "{all:?} for all, {tenth:?} for a tenth");
    assert_eq!(
        catalog.by_id("20261123T0800Z-1000000").unwrap().idx,
        MAX_ITEMS - 1
    );
    assert_eq!(catalog.by_id("20261123T0800Z-1000001"), None);
}

#[test]
fn a_generated_catalogue_has_at_least_one_item_and_at_most_a_million() {
    assert_eq!(Catalog::generate(0, "p").unwrap_err(), CatalogError::Empty);
    assert_eq!(
        Catalog::generate(u32::MAX, "p").unwrap_err(),
        CatalogError::TooMany {
            place: Place::Item(MAX_ITEMS)
        }
    );
    assert!(
        Catalog::generate(1, "a blank").is_err(),
        "the prefix is part of an id"
    );
}

#[test]
fn a_csv_with_byte_order_mark_crlf_quotes_and_empty_lines_is_read() {
    let catalog = csv(concat!(
        "\u{feff}id,name,image_url\r\n",
        "mug-1,\"Mug, \"\"blue\"\"\",https://img.example/1.jpg\r\n",
        "\r\n",
        "mug-2, Becher für Tee ,\r\n"
    ))
    .unwrap();

    assert_eq!(catalog.len(), 2);
    assert_eq!(
        catalog.get(0).unwrap(),
        &Item {
            idx: 0,
            id: "mug-1".to_owned(),
            name: "Mug, \"blue\"".to_owned(),
            image_url: "https://img.example/1.jpg".to_owned(),
        }
    );
    assert_eq!(catalog.by_id("mug-2").unwrap().name, "Becher für Tee");
}

#[test]
fn a_wrong_csv_is_refused_with_the_line_the_field_and_what_was_expected() {
    let header = "id,name,image_url\n";
    let long_id = "x".repeat(129);
    let long_name = "n".repeat(201);
    let long_url = format!("https://{}", "u".repeat(2048));
    let cases: &[(&str, String, &[&str])] = &[
        (
            "nothing at all",
            String::new(),
            &["line 1", "header", "expected `id,name,image_url`"],
        ),
        (
            "another header",
            "sku,title\n1,Mug".to_owned(),
            &["line 1", "`sku,title`"],
        ),
        (
            "no header",
            "mug-1,Mug,\n".to_owned(),
            &["line 1", "`mug-1,Mug,`"],
        ),
        (
            "header only",
            header.to_owned(),
            &["no item", "1 to 1000000"],
        ),
        (
            "a column too few",
            format!("{header}a,A,\nb,B\n"),
            &["line 3", "found 2 columns", "expected 3"],
        ),
        (
            "a column too many",
            format!("{header}a,A,,x\n"),
            &["line 2", "found 4 columns", "quote"],
        ),
        (
            "an empty id",
            format!("{header},A,\n"),
            &["line 2: id: found nothing", "1 to 128"],
        ),
        (
            "a long id",
            format!("{header}{long_id},A,\n"),
            &["line 2: id", "129 characters", "1 to 128"],
        ),
        (
            "a blank in an id",
            format!("{header}a b,A,\n"),
            &["line 2: id: found `a b`"],
        ),
        (
            "an id not ASCII",
            format!("{header}ä,A,\n"),
            &["line 2: id: found `ä`"],
        ),
        (
            "an empty name",
            format!("{header}a,,\n"),
            &["line 2: name: found nothing"],
        ),
        (
            "a long name",
            format!("{header}a,{long_name},\n"),
            &["line 2: name", "201 characters", "1 to 200"],
        ),
        (
            "a NUL in a name",
            format!("{header}a,A\0B,\n"),
            &["line 2: name: found `A\\u{0}B`", "control"],
        ),
        (
            "no address",
            format!("{header}a,A,javascript:alert(1)\n"),
            &["line 2: image_url", "https://"],
        ),
        (
            "a long address",
            format!("{header}a,A,{long_url}\n"),
            &["line 2: image_url", "2,048 bytes"],
        ),
        (
            "an id twice",
            format!("{header}a,A,\nb,B,\na,C,\n"),
            &["line 4: id: found `a` again", "line 2"],
        ),
        (
            "after empty lines",
            format!("{header}\n\nb,B\n"),
            &["line 4: found 2 columns"],
        ),
        (
            "after a name of two lines",
            format!("{header}a,\"A\nA\",\n"),
            &["line 2: name"],
        ),
    ];
    for (what, text, expected) in cases {
        let message = refusal(text);
        for part in *expected {
            assert!(
                message.contains(part),
                "{what}: `{message}` does not say `{part}`"
            );
        }
    }
}

#[test]
fn text_that_is_not_utf_8_is_refused_with_its_line_and_field() {
    let message = refusal(b"id,name,image_url\na,A,\nb,caf\xe9,\n");
    assert!(
        message.starts_with("line 3: name: found `caf\u{fffd}`, which is not UTF-8"),
        "{message}"
    );
}

#[test]
fn a_csv_of_more_than_a_million_items_is_refused_at_the_first_line_too_many() {
    let mut text = String::from("id,name,image_url\n");
    for n in 0..=MAX_ITEMS {
        text.push_str(&format!("{n},N,\n"));
    }
    let message = refusal(&text);
    assert!(
        message.starts_with("line 1000002: more than 1000000 items"),
        "{message}"
    );
}

#[test]
fn items_read_back_keep_their_numbers_and_must_be_without_a_gap() {
    let catalog = Catalog::generate(3, "p").unwrap();
    let items: Vec<_> = catalog.iter().cloned().collect();
    assert!(
        Catalog::from_items(items.clone())
            .unwrap()
            .iter()
            .eq(catalog.iter())
    );

    let gap: Vec<_> = items.into_iter().filter(|item| item.idx != 1).collect();
    assert_eq!(
        Catalog::from_items(gap).unwrap_err(),
        CatalogError::Gap {
            expected: 1,
            found: 2
        }
    );
    assert_eq!(
        Catalog::from_items(Vec::new()).unwrap_err(),
        CatalogError::Empty
    );
}
