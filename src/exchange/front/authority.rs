//! The venue's own certificate authority: made once, in a folder, so that clients can trust the venue by file.
//!
//! The authority's key and certificate live in one file (`ca-key.pem`, mode 0600, put in place with a hard link so that two
//! first starts at once agree on one authority); `ca.pem`, the part that clients need, is derived from it. The server's own
//! certificate is issued in memory at start, is never written anywhere, and is issued again when half of its life is over.
//! Promise: the authority can only vouch for this machine (name constraints: localhost, 127.0.0.1, ::1), so a stolen key opens
//! nothing else. It must never be installed as a system root, and nothing here asks for that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::rustls;

/// Life of a server certificate. Short: it is never on disk, and a new one costs less than a millisecond.
const SERVER_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Certificates begin a day early, so that a client whose clock is behind still accepts them.
const BACKDATE: Duration = Duration::from_secs(24 * 3600);

/// Where the public certificate is, and how to make server certificates that it vouches for.
#[derive(Debug)]
pub struct Authority {
    certificate_file: PathBuf,
    key_pem: String,
}

impl Authority {
    /// Uses the authority in `dir`, or makes it there.
    pub fn open_or_create(dir: &Path) -> anyhow::Result<Self> {
        let bundle_file = dir.join("ca-key.pem");
        if !bundle_file.exists() {
            create(dir, &bundle_file)
                .with_context(|| format!("cannot make a certificate authority in {}", dir.display()))?;
        }
        Self::open(dir, &bundle_file)
    }

    fn open(dir: &Path, bundle_file: &Path) -> anyhow::Result<Self> {
        let shown = bundle_file.display();
        let mode =
            fs::metadata(bundle_file).with_context(|| format!("cannot read {shown}"))?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!(
                "{shown} can be read by others (mode {:03o}); make it private: chmod 600 {shown}",
                mode & 0o777
            );
        }
        let bundle = fs::read_to_string(bundle_file).with_context(|| format!("cannot read {shown}"))?;
        let Some((key_pem, certificate_pem)) = split_bundle(&bundle) else {
            bail!(
                "{shown} is not a key followed by a certificate; remove {} to make a new authority",
                dir.display()
            );
        };
        KeyPair::from_pem(key_pem).with_context(|| format!("the key in {shown} cannot be used"))?;

        let certificate_file = dir.join("ca.pem");
        if fs::read_to_string(&certificate_file).ok().as_deref() != Some(certificate_pem) {
            let temporary = dir.join(format!(".ca.pem.{}", std::process::id()));
            fs::write(&temporary, certificate_pem)
                .and_then(|()| fs::rename(&temporary, &certificate_file))
                .with_context(|| format!("cannot write {}", certificate_file.display()))?;
        }
        Ok(Self { certificate_file, key_pem: key_pem.to_owned() })
    }

    /// An authority that exists nowhere else, so that nobody can trust it: for certificates that must be refused.
    pub fn stranger() -> anyhow::Result<Self> {
        let key = KeyPair::generate().context("a stranger's key")?;
        Ok(Self { certificate_file: PathBuf::new(), key_pem: key.serialize_pem() })
    }

    /// The file that clients trust.
    pub fn certificate_file(&self) -> &Path {
        &self.certificate_file
    }

    /// A TLS server configuration that always presents a certificate with at least half of its life left.
    pub fn server_config(self: &Arc<Self>) -> anyhow::Result<rustls::ServerConfig> {
        let resolver = FreshCertificate {
            authority: self.clone(),
            current: Mutex::new((Instant::now(), self.issue()?)),
        };
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .context("TLS protocol versions")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn issue(&self) -> anyhow::Result<Arc<CertifiedKey>> {
        let authority_key = KeyPair::from_pem(&self.key_pem).context("the authority's key")?;
        let issuer = Issuer::new(authority_parameters(), authority_key);
        let server_key = KeyPair::generate().context("a server key")?;
        let now = SystemTime::now();
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "Linchpin embedded venue");
        parameters.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into().context("the name localhost")?),
            SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
            SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
        ];
        parameters.not_before = (now - BACKDATE).into();
        parameters.not_after = (now + SERVER_LIFE).into();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let certificate =
            parameters.signed_by(&server_key, &issuer).context("signing a server certificate")?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let signing_key = ring::sign::any_supported_type(&key).context("loading the server key")?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing_key)))
    }
}

#[derive(Debug)]
struct FreshCertificate {
    authority: Arc<Authority>,
    current: Mutex<(Instant, Arc<CertifiedKey>)>,
}

impl ResolvesServerCert for FreshCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock().ok()?;
        if current.0.elapsed() > SERVER_LIFE / 2 {
            // When issuing fails the old one is still good for half of its life, and the next handshake tries again.
            if let Ok(fresh) = self.authority.issue() {
                *current = (Instant::now(), fresh);
            }
        }
        Some(current.1.clone())
    }
}

fn create(dir: &Path, bundle_file: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let key = KeyPair::generate()?;
    let certificate = authority_parameters().self_signed(&key)?;
    let temporary = dir.join(format!(".ca-key.pem.{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(key.serialize_pem().as_bytes())?;
    file.write_all(certificate.pem().as_bytes())?;
    file.sync_all()?;
    // A link, not a rename: it fails when another first start was quicker, and then theirs is the authority.
    let linked = fs::hard_link(&temporary, bundle_file);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => File::open(dir)?.sync_all()?,
    }
    Ok(())
}

/// The same every time, so that an issuer can be rebuilt from the key alone.
fn authority_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::OrganizationName, "Linchpin");
    parameters.distinguished_name.push(DnType::CommonName, "Linchpin embedded venue (this machine only)");
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2049, 12, 31);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".into()),
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv4Addr::LOCALHOST.into(), 32)),
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv6Addr::LOCALHOST.into(), 128)),
        ],
        excluded_subtrees: vec![],
    });
    parameters
}

fn split_bundle(bundle: &str) -> Option<(&str, &str)> {
    let at = bundle.find("-----BEGIN CERTIFICATE-----")?;
    let (key, certificate) = bundle.split_at(at);
    (key.contains("PRIVATE KEY") && certificate.contains("-----END CERTIFICATE-----"))
        .then_some((key, certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_made_once_and_reused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let first = Authority::open_or_create(&dir.path().join("ca")).expect("made");
        let pem = fs::read(first.certificate_file()).expect("ca.pem");
        let second = Authority::open_or_create(&dir.path().join("ca")).expect("reused");
        assert_eq!(pem, fs::read(second.certificate_file()).expect("ca.pem"));
        assert_eq!(first.key_pem, second.key_pem);
        let mode = fs::metadata(dir.path().join("ca/ca-key.pem")).expect("bundle").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_lost_public_certificate_is_derived_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let first = Authority::open_or_create(dir.path()).expect("made");
        let pem = fs::read(first.certificate_file()).expect("ca.pem");
        fs::remove_file(first.certificate_file()).expect("removed");
        Authority::open_or_create(dir.path()).expect("reopened");
        assert_eq!(pem, fs::read(first.certificate_file()).expect("derived again"));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Authority::open_or_create(dir.path()).expect("made");
        let bundle = dir.path().join("ca-key.pem");
        fs::set_permissions(&bundle, fs::Permissions::from_mode(0o644)).expect("chmod");
        let refused = Authority::open_or_create(dir.path()).expect_err("a readable key");
        assert!(refused.to_string().contains("ca-key.pem"), "{refused}");
    }

    #[test]
    fn a_damaged_bundle_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Authority::open_or_create(dir.path()).expect("made");
        fs::write(dir.path().join("ca-key.pem"), "nonsense").expect("damaged");
        let refused = Authority::open_or_create(dir.path()).expect_err("a damaged bundle");
        assert!(refused.to_string().contains("ca-key.pem"), "{refused}");
    }
}
