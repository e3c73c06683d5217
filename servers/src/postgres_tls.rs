//! TLS for a Postgres that has not started yet.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use crate::{ServersError, TestCertificates, account::Account};

/// Over TLS with a certificate whose name is that of the user; without TLS as before.
const WHO_MAY_CONNECT: &str = "hostssl all all 127.0.0.1/32 cert\n\
                               hostnossl all all 127.0.0.1/32 trust\n";

/// Makes certificates in the data folder and has the server use them.
pub(crate) fn set_up(
    data: &Path,
    account: Option<Account>,
) -> Result<TestCertificates, ServersError> {
    let folder = data.join("tls");
    fs::create_dir(&folder).map_err(ServersError::io("make a folder of certificates"))?;
    let certificates = TestCertificates::generate(&folder)?;
    let configure = || {
        let key = &certificates.server.key;
        // The server refuses a key that others may read.
        fs::set_permissions(key, Permissions::from_mode(0o600))?;
        if let Some(Account { uid, gid }) = account {
            chown(key, Some(uid), Some(gid))?;
        }
        let settings = format!(
            "ssl = on\nssl_ca_file = '{}'\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            certificates.authority.display(),
            certificates.server.certificate.display(),
            key.display()
        );
        let mut file = File::options()
            .append(true)
            .open(data.join("postgresql.conf"))?;
        file.write_all(settings.as_bytes())?;
        fs::write(data.join("pg_hba.conf"), WHO_MAY_CONNECT)
    };
    configure().map_err(ServersError::io("configure TLS for Postgres"))?;
    Ok(certificates)
}
