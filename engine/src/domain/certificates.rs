//! Certificates of connections to backends, as texts in PEM.

use std::fmt;

/// What a connection over TLS is verified with, beside the machine's own certificate authorities.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Certificates {
    /// The certificate authority of the servers (`ca.crt`); none for those of the machine.
    pub authority: Option<String>,
    /// The certificate that this program shows; none where the servers ask for none.
    pub client: Option<ClientCertificate>,
}

/// A certificate and its private key, in PEM.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate, with its chain (`tls.crt`).
    pub certificate: String,
    /// The private key (`tls.key`).
    pub key: String,
}

impl Certificates {
    /// The texts that hold a certificate.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &str> {
        let client = self.client.iter().map(|client| client.certificate.as_str());
        self.authority.as_deref().into_iter().chain(client)
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
