//! Certificates of connections to backends, as texts in PEM.
//!
//! Guarantees: a value holds certificates and keys in PEM that can be read; no message and no
//! `Debug` output holds a part of a key.

use std::fmt;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::domain::error::AddressError;

const AUTHORITY: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// What a connection over TLS is verified with, beside the machine's own certificate authorities.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Certificates {
    /// The certificate authority of the servers; none for those of the machine.
    pub(crate) authority: Option<String>,
    /// The certificate that this program shows; none where the servers ask for none.
    pub(crate) client: Option<ClientCertificate>,
}

/// A certificate and its private key, in PEM.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientCertificate {
    /// The certificate, with its chain.
    pub(crate) certificate: String,
    /// The private key.
    pub(crate) key: String,
}

impl Certificates {
    /// No certificates beside the machine's own authorities.
    pub const NONE: Self = Self {
        authority: None,
        client: None,
    };

    /// The names of the entries: keys of a Secret, as cert-manager and `kubectl create secret tls`
    /// write them, or files of a folder in which such a Secret is mounted.
    pub const ENTRIES: [&str; 3] = [AUTHORITY, CERTIFICATE, KEY];

    /// Reads the [entries](Self::ENTRIES). An entry may be missing or empty; a certificate and its
    /// key come together.
    pub fn read(entry: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, AddressError> {
        let text = |name: &str| match entry(name) {
            Some(bytes) if !bytes.trim_ascii().is_empty() => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| unreadable(name, "bytes that are not UTF-8")),
            _ => Ok(None),
        };
        let authority = text(AUTHORITY)?;
        let client = match (text(CERTIFICATE)?, text(KEY)?) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(alone(CERTIFICATE, KEY)),
            (None, Some(_)) => return Err(alone(KEY, CERTIFICATE)),
        };
        if let Some(authority) = &authority {
            check_certificates(AUTHORITY, authority)?;
        }
        if let Some(client) = &client {
            check_certificates(CERTIFICATE, &client.certificate)?;
            PrivateKeyDer::from_pem_slice(client.key.as_bytes())
                .map_err(|_| unreadable(KEY, "no private key in PEM"))?;
        }
        Ok(Self { authority, client })
    }
}

/// At least one certificate, and no damaged one.
fn check_certificates(name: &str, text: &str) -> Result<(), AddressError> {
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes());
    let certificates: Result<Vec<_>, _> = certificates.collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(()),
        Ok(_) => Err(unreadable(name, "no certificate in PEM")),
        Err(_) => Err(unreadable(name, "a damaged certificate in PEM")),
    }
}

fn unreadable(name: &str, found: &str) -> AddressError {
    let section = if name == KEY {
        "PRIVATE KEY"
    } else {
        "CERTIFICATE"
    };
    AddressError {
        found: format!("{found} under {name}"),
        expected: format!("PEM with `-----BEGIN {section}-----`, or no {name}"),
    }
}

fn alone(found: &str, missing: &str) -> AddressError {
    AddressError {
        found: format!("{found} without {missing}"),
        expected: format!(
            "both, for servers that ask for a certificate of the client, or neither; the \
             authority of the servers alone is {AUTHORITY}"
        ),
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("authority", &self.authority.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret.
        f.write_str("ClientCertificate")
    }
}

#[cfg(test)]
mod tests;
