//! TLS for a client, non-blocking, on rustls with the `ring` provider.
//!
//! The peer is always verified: by the distribution's authorities, or by those in a file that the desk names. There is no
//! third way, and no switch that turns verification off.
//!
//! The system's authorities are read from the bundle that distributions install, not through a crate that also looks at
//! environment variables: whom the engine trusts with its keys must not change with the shell it was started from.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use zeroize::Zeroizing;

use super::transport::Stamped;

/// Where distributions keep the bundle: Debian and Arch, Fedora and RHEL, openSUSE, Alpine and others.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How much of our own text may wait inside of rustls for the socket, in bytes of plain text.
const UNSENT_LIMIT: usize = 64 * 1024;

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsTrust {
    /// The authorities that the distribution installed.
    SystemRoots,
    /// The authorities in this PEM file, and no others.
    CaFile(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no authorities of the system found; looked for {}", SYSTEM_BUNDLES.join(", "))]
    NoSystemRoots,
    #[error("{}: cannot be read as PEM certificates: {source}", .path.display())]
    Unreadable { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{}: holds no certificate", .path.display())]
    Empty { path: PathBuf },
    #[error("{}: certificate {number} is not usable as an authority: {source}", .path.display())]
    NotAnAuthority { path: PathBuf, number: usize, source: rustls::Error },
    #[error("{}: cannot be read: {source}", .path.display())]
    NoKeyFile { path: PathBuf, source: io::Error },
    #[error("{}: cannot be read as a PEM private key: {source}", .path.display())]
    NoKey { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("`{host}` is neither a DNS name nor an IP address")]
    HostName { host: String },
    #[error("TLS: {0}")]
    Refused(#[from] rustls::Error),
}

/// A certificate with the chain behind it, and its private key: what proves who this end is.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    /// As its file has it: rustls and the cold client each read it themselves.
    key: Zeroizing<Vec<u8>>,
    key_file: PathBuf,
}

impl Identity {
    /// From two PEM files. Cold.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = read_bundle(certificate)?;
        let read = std::fs::read(key).map(Zeroizing::new);
        let unreadable = |source| TlsError::NoKeyFile { path: key.to_owned(), source };
        let identity = Self { chain, key: read.map_err(unreadable)?, key_file: key.to_owned() };
        identity.private_key()?;
        Ok(identity)
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let unreadable = |source| TlsError::NoKey { path: self.key_file.clone(), source };
        PrivateKeyDer::from_pem_slice(&self.key).map_err(unreadable)
    }

    pub(super) fn key_pem(&self) -> &[u8] {
        &self.key
    }
}

/// The trust, read and checked once. Clones share it and the sessions that can be resumed.
#[derive(Debug, Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    authorities: Arc<Vec<CertificateDer<'static>>>,
}

impl TlsClient {
    /// Reads the authorities. Cold.
    pub fn new(trust: &TlsTrust) -> Result<Self, TlsError> {
        let (roots, authorities) = match trust {
            TlsTrust::CaFile(path) => chosen_roots(path)?,
            TlsTrust::SystemRoots => system_roots()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), authorities: Arc::new(authorities) })
    }

    /// Begins a session on a connected stream. `host` is the name that the peer's certificate must carry.
    pub fn start(&self, stream: Stamped, host: &str) -> Result<TlsStream, TlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::HostName { host: host.to_owned() })?;
        let mut session = ClientConnection::new(self.config.clone(), name)?;
        session.set_buffer_limit(Some(UNSENT_LIMIT));
        Ok(TlsStream { session, stream })
    }

    /// The authorities themselves, for the cold HTTP client, which makes its own sessions.
    pub(super) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }
}

/// A TLS session over a non-blocking stream. `WouldBlock` is its way to say "not now"; an error of the session itself
/// (a certificate that is refused, a damaged record) is an `io::Error` of kind `InvalidData` with the rustls error inside.
#[derive(Debug)]
pub struct TlsStream {
    session: ClientConnection,
    stream: Stamped,
}

impl TlsStream {
    /// Goes on with the handshake; true when it is done.
    pub fn handshake(&mut self) -> io::Result<bool> {
        while self.session.is_handshaking() {
            if !self.send()? {
                return Ok(false);
            }
            match self.receive() {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        // Our last flight may still wait; what is written later goes out behind it.
        self.send()?;
        Ok(true)
    }

    /// Nothing that was written waits for the socket.
    #[inline]
    pub fn is_flushed(&self) -> bool {
        !self.session.wants_write()
    }

    pub fn stream(&self) -> &Stamped {
        &self.stream
    }

    pub fn stream_mut(&mut self) -> &mut Stamped {
        &mut self.stream
    }

    /// Queues the notice that no more will be written.
    pub fn send_close_notify(&mut self) {
        self.session.send_close_notify();
    }

    /// Reads one piece from the socket and decrypts what became whole.
    #[inline]
    fn receive(&mut self) -> io::Result<usize> {
        let read = self.session.read_tls(&mut self.stream)?;
        if let Err(error) = self.session.process_new_packets() {
            // The peer is told why, if the socket takes it; the session is over either way.
            let _ = self.send();
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(read)
    }

    /// Writes what rustls has ready; true when all of it is with the kernel.
    #[inline]
    fn send(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Read for TlsStream {
    /// `Ok(0)` is the peer's orderly end of the session; a connection that breaks without it is `UnexpectedEof`.
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // What is decrypted goes first: the stamp of the stream always belongs to the bytes that are handed out.
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                answer => return answer,
            }
            self.receive()?;
            // Only key updates and the like answer a read; if the socket is full they go with the next flush.
            if self.session.wants_write() {
                self.send()?;
            }
        }
    }
}

impl Write for TlsStream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let taken = self.session.writer().write(bytes)?;
            let sent = self.send()?;
            if taken > 0 || bytes.is_empty() {
                return Ok(taken);
            }
            // rustls was full. If the socket took all of that there is room now, else there will be none yet.
            if !sent {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        if self.send()? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

type Roots = (RootCertStore, Vec<CertificateDer<'static>>);

/// Strict: a file that a person named is either good or an error.
pub(super) fn chosen_roots(path: &Path) -> Result<Roots, TlsError> {
    let certificates = read_bundle(path)?;
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates.iter().enumerate() {
        roots.add(certificate.clone()).map_err(|source| TlsError::NotAnAuthority {
            path: path.to_owned(),
            number: at + 1,
            source,
        })?;
    }
    Ok((roots, certificates))
}

/// Lenient: among the hundreds that a distribution ships, one that rustls does not understand is simply not trusted.
fn system_roots() -> Result<Roots, TlsError> {
    let path = SYSTEM_BUNDLES
        .into_iter()
        .map(Path::new)
        .find(|path| path.exists())
        .ok_or(TlsError::NoSystemRoots)?;
    let mut certificates = read_bundle(path)?;
    let mut roots = RootCertStore::empty();
    certificates.retain(|certificate| roots.add(certificate.clone()).is_ok());
    if certificates.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok((roots, certificates))
}

fn read_bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect();
    let certificates = certificates.map_err(unreadable)?;
    if certificates.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_file_that_is_missing_empty_or_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.pem");
        let refusal = || TlsClient::new(&TlsTrust::CaFile(path.clone())).unwrap_err().to_string();
        assert!(refusal().contains("authority.pem"));
        std::fs::write(&path, "").unwrap();
        assert!(refusal().contains("authority.pem: holds no certificate"), "{}", refusal());
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(refusal().contains("authority.pem: certificate 1"), "{}", refusal());
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").unwrap();
        assert!(refusal().contains("authority.pem: cannot be read"), "{}", refusal());
    }

    #[test]
    fn the_authorities_of_the_distribution_are_found_where_it_installed_them() {
        if !SYSTEM_BUNDLES.iter().any(|path| Path::new(path).exists()) {
            eprintln!("SKIPPED: this host has no bundle of authorities");
            assert!(matches!(TlsClient::new(&TlsTrust::SystemRoots), Err(TlsError::NoSystemRoots)));
            return;
        }
        assert!(TlsClient::new(&TlsTrust::SystemRoots).unwrap().authorities().len() > 10);
    }
}
