//! Certificates for servers that speak TLS: an authority of its own, and one certificate each for
//! the servers and their clients.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{ServersError, programs::openssl};

/// OpenSSL's own settings would make every certificate one of an authority.
const SETTINGS: &str = "[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=flashsale\n";

/// A certificate and its private key, as files in PEM.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The certificates of one test.
#[derive(Debug, Clone)]
pub struct TestCertificates {
    /// The authority that signed the others.
    pub authority: PathBuf,
    /// That of the servers, for `localhost`, 127.0.0.1 and ::1.
    pub server: CertificateFiles,
    /// That of the clients.
    pub client: CertificateFiles,
}

impl TestCertificates {
    /// Makes new certificates in a folder, valid for two days.
    ///
    /// # Errors
    /// Where OpenSSL is missing or fails, or the folder cannot be written.
    pub fn generate(folder: &Path) -> Result<Self, ServersError> {
        let settings = folder.join("openssl.cnf");
        fs::write(&settings, SETTINGS).map_err(ServersError::io("write OpenSSL's settings"))?;
        let authority = CertificateFiles::named(folder, "authority");
        let extensions = [
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign",
        ];
        make(&settings, &authority, None, &extensions)?;
        let [server, client] = [
            ("server", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"),
            ("client", "extendedKeyUsage=clientAuth"),
        ]
        .map(|(name, extension)| {
            let files = CertificateFiles::named(folder, name);
            let extensions = ["basicConstraints=critical,CA:FALSE", extension];
            make(&settings, &files, Some(&authority), &extensions)?;
            Ok::<_, ServersError>(files)
        });
        Ok(Self {
            authority: authority.certificate,
            server: server?,
            client: client?,
        })
    }
}

impl TestCertificates {
    /// What a client needs, under the keys that a Secret has for it: `ca.crt`, `tls.crt` and
    /// `tls.key`. None for other keys, and where the file cannot be read.
    pub fn entry(&self, key: &str) -> Option<Vec<u8>> {
        let file = match key {
            "ca.crt" => &self.authority,
            "tls.crt" => &self.client.certificate,
            "tls.key" => &self.client.key,
            _ => return None,
        };
        fs::read(file).ok()
    }
}

impl CertificateFiles {
    fn named(folder: &Path, name: &str) -> Self {
        Self {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        }
    }
}

fn make(
    settings: &Path,
    files: &CertificateFiles,
    authority: Option<&CertificateFiles>,
    extensions: &[&str],
) -> Result<(), ServersError> {
    let mut command = Command::new(openssl()?);
    command
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args([
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-subj",
            "/CN=flashsale",
        ])
        .arg("-config")
        .arg(settings)
        .arg("-out")
        .arg(&files.certificate)
        .arg("-keyout")
        .arg(&files.key);
    if let Some(authority) = authority {
        command.arg("-CA").arg(&authority.certificate);
        command.arg("-CAkey").arg(&authority.key);
    }
    for extension in extensions {
        command.args(["-addext", extension]);
    }
    let output = command.output().map_err(ServersError::io("run openssl"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(ServersError::Ended {
            name: "openssl".into(),
            status: output.status.to_string(),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
    }
}
