//! Certificates for tests: an authority, and what it signs, as the PEM files that a desk would have.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

/// An authority, written to `NAME.pem`, and what it signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("an authority");
        std::fs::write(folder.join(format!("{name}.pem")), root.pem()).expect("written");
        Self { issuer: Issuer::new(params, key) }
    }

    /// Writes `NAME.pem` and `NAME-key.pem`, which only its owner reads.
    pub fn sign(&self, folder: &Path, name: &str, usage: ExtendedKeyUsagePurpose) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("written");
        secret(folder, &format!("{name}-key.pem"), &key.serialize_pem());
    }
}

/// A file that only its owner reads.
pub fn secret(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("private");
}
