#![allow(clippy::unwrap_used)]
use super::*;

type Entries<'a> = &'a [(&'a str, &'a [u8])];

const CERTIFICATE_PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY_PEM: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

fn read(entries: Entries<'_>) -> Result<Certificates, AddressError> {
    Certificates::read(|name| {
        let mut entries = entries.iter();
        entries.find_map(|(entry, bytes)| (*entry == name).then(|| bytes.to_vec()))
    })
}

#[test]
fn an_authority_a_certificate_with_its_key_or_nothing_can_be_used() {
    let certificate = CERTIFICATE_PEM.as_bytes();
    let key = KEY_PEM.as_bytes();
    assert_eq!(read(&[]), Ok(Certificates::NONE));
    // cert-manager leaves the authority of a public certificate empty.
    assert_eq!(read(&[(AUTHORITY, b" \n")]), Ok(Certificates::NONE));
    let all = read(&[
        (AUTHORITY, certificate),
        (CERTIFICATE, certificate),
        (KEY, key),
    ]);
    let all = all.unwrap();
    assert_eq!(all.authority.as_deref(), Some(CERTIFICATE_PEM));
    assert_eq!(all.client.as_ref().unwrap().key, KEY_PEM);
    assert!(!format!("{all:?}").contains("c2Vj"), "{all:?}");
    let authority = read(&[(AUTHORITY, certificate)]).unwrap();
    assert_eq!(authority.client, None);
}

#[test]
fn an_unusable_entry_is_named_and_its_value_is_not_shown() {
    let certificate = CERTIFICATE_PEM.as_bytes();
    let cases: [(Entries<'_>, &str); 7] = [
        (
            &[(AUTHORITY, b"hunter2")],
            "no certificate in PEM under ca.crt",
        ),
        (
            &[(AUTHORITY, b"-----BEGIN CERTIFICATE-----\nhunter2")],
            "a damaged certificate in PEM under ca.crt",
        ),
        (
            &[(AUTHORITY, b"\xff")],
            "bytes that are not UTF-8 under ca.crt",
        ),
        (&[(CERTIFICATE, certificate)], "tls.crt without tls.key"),
        (&[(KEY, KEY_PEM.as_bytes())], "tls.key without tls.crt"),
        (
            &[(CERTIFICATE, b"hunter2"), (KEY, KEY_PEM.as_bytes())],
            "no certificate in PEM under tls.crt",
        ),
        (
            &[(CERTIFICATE, certificate), (KEY, b"hunter2")],
            "no private key in PEM under tls.key",
        ),
    ];
    for (entries, expected) in cases {
        let error = read(entries).unwrap_err();
        assert_eq!(error.found, expected);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
