//! Names and labels. They never change for a FlashSale: a Deployment cannot change its selector.

use std::collections::BTreeMap;

/// The annotation of the pods with the revision of the Secrets at their start.
pub const SECRETS_REVISION: &str = "flashsale.dev/stores-revision";

/// The most that a DNS label and the value of a label hold.
const MAX_LENGTH: usize = 63;

/// The name of everything that is made for a FlashSale: `shop-api` for `shop`.
///
/// A Service has to have a DNS label for a name (RFC 1035: 63 characters, no dot, a letter
/// first), while the name of a FlashSale may have dots, 200 characters, and a digit first. Where
/// it does not fit, what is readable of it is followed by a hash of all of it. That hash stands
/// last, so that no FlashSale can be named in a way that collides with it: theirs end in `-api`.
pub fn child_name(flash_sale_name: &str) -> String {
    let plain = format!("{flash_sale_name}-api");
    if is_dns_label(&plain) {
        return plain;
    }
    let starts_with_letter = flash_sale_name.starts_with(|c: char| c.is_ascii_lowercase());
    let letter_first = if starts_with_letter { "" } else { "fs-" };
    let readable = flash_sale_name
        .chars()
        .map(|c| if is_dns_character(c) { c } else { '-' });
    let readable = letter_first.chars().chain(readable);
    shortened(readable, "-api-", flash_sale_name)
}

/// The labels by which the pods of a FlashSale are found.
pub fn selector(flash_sale_name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (
            "app.kubernetes.io/name".to_owned(),
            "flashsale-api".to_owned(),
        ),
        (
            "app.kubernetes.io/instance".to_owned(),
            child_name(flash_sale_name),
        ),
    ])
}

/// The same as a label selector is written, for `status.selector` and `kubectl get -l`.
pub fn selector_text(flash_sale_name: &str) -> String {
    let pairs = selector(flash_sale_name);
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}

/// The labels of everything that is made for a FlashSale.
pub fn labels(flash_sale_name: &str) -> BTreeMap<String, String> {
    let mut labels = selector(flash_sale_name);
    labels.insert(
        "app.kubernetes.io/managed-by".to_owned(),
        "flashsale-operator".to_owned(),
    );
    labels.insert(
        "flashsale.dev/flash-sale".to_owned(),
        label_value(flash_sale_name),
    );
    labels
}

/// A name as the value of a label. Only its length can stand in the way.
fn label_value(name: &str) -> String {
    if name.len() <= MAX_LENGTH {
        return name.to_owned();
    }
    shortened(name.chars(), "-", name)
}

/// As much of a readable text as there is room for, `between`, and a hash of the name.
fn shortened(readable: impl Iterator<Item = char>, between: &str, name: &str) -> String {
    let end = format!("{between}{:08x}", fnv_1a(name.as_bytes()));
    let readable: String = readable.take(MAX_LENGTH - end.len()).collect();
    format!("{}{end}", readable.trim_end_matches(['-', '.']))
}

fn is_dns_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn is_dns_label(text: &str) -> bool {
    text.len() <= MAX_LENGTH
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(is_dns_character)
}

/// FNV-1a. The hashes of the standard library may differ from one release to the next; these
/// names must not. Kubernetes names ReplicaSets with it, too.
fn fnv_1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_kept() {
        assert_eq!(child_name("shop"), "shop-api");
        let longest = "a".repeat(59);
        assert_eq!(child_name(&longest), format!("{longest}-api"));
        assert_eq!(
            selector_text("shop"),
            "app.kubernetes.io/instance=shop-api,app.kubernetes.io/name=flashsale-api"
        );
    }

    /// These are in clusters: they must be the same in every release.
    #[test]
    fn a_name_that_does_not_fit_is_derived_and_stays_the_same() {
        let long = "a".repeat(60);
        let cases = [
            ("black.friday", "black-friday-api-"),
            ("2026", "fs-2026-api-"),
            (&long, &format!("{}-api-", "a".repeat(50))),
        ];
        for (name, begins) in cases {
            let derived = child_name(name);
            assert!(derived.starts_with(begins), "{name}: {derived}");
            assert_eq!(derived, child_name(name));
        }
        // From the reference of FNV-1a.
        assert_eq!(fnv_1a(b""), 0x811c_9dc5);
        assert_eq!(fnv_1a(b"foobar"), 0xbf9c_f968);
        assert_eq!(child_name("foo.bar"), "foo-bar-api-cb942ef4");
    }

    #[test]
    fn every_name_that_a_flash_sale_may_have_gives_valid_ones() {
        let dots = ["a.b"; 50].join(".");
        let long = "x".repeat(200);
        let dash_at_the_cut = format!("{}-{}", "a".repeat(49), "b".repeat(60));
        let dot_at_the_cut = format!("{}.{}", "a".repeat(53), "b".repeat(60));
        for name in [
            "a",
            "0",
            "a.b",
            "1.2.3",
            &dots,
            &long,
            &dash_at_the_cut,
            &dot_at_the_cut,
        ] {
            let derived = child_name(name);
            assert!(is_dns_label(&derived), "{name}: {derived}");
            assert!(!derived.contains("--"), "{name}: {derived}");
            let value = label_value(name);
            assert!(
                value.len() <= 63 && !value.contains(".-"),
                "{name}: {value}"
            );
            assert!(!value.contains("--"), "{name}: {value}");
        }
    }

    #[test]
    fn two_flash_sales_never_share_a_name() {
        let one = "a".repeat(100);
        let other = format!("{one}b");
        let derived = child_name("a.b");
        let names = ["a.b", "a-b", "a.b-api", &derived, &one, &other];
        for (i, one) in names.iter().enumerate() {
            for other in &names[i + 1..] {
                assert_ne!(child_name(one), child_name(other), "{one} and {other}");
                assert_ne!(label_value(one), label_value(other), "{one} and {other}");
            }
        }
        // Not even on purpose: what is derived does not end as what is plain.
        assert!(!derived.ends_with("-api"));
    }
}
