//! The operators' socket: its path, connections to it and the process at their other end.

use std::{
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use interprocess::local_socket::{
    GenericFilePath, ListenerOptions, ToFsName,
    tokio::{Listener as RawListener, Stream, prelude::*},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::{FrameError, Hello, Receiver, Sender, Verdict, frame::encode_frame, half};

/// The process at the other end, as the kernel says (`SO_PEERCRED`, unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its process.
    pub pid: Option<u32>,
    /// Its effective user.
    pub uid: Option<u32>,
}

/// A connection before it is known what travels on it: only the hello may be exchanged.
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver<Never>,
    sender: Sender<Never>,
    peer: Peer,
}

/// The message type of a connection that has said no hello yet: it has no value.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(crate) enum Never {}

impl Connection {
    fn new(stream: Stream) -> io::Result<Self> {
        let credentials = stream.peer_creds()?;
        let peer = Peer { pid: credentials.pid().and_then(|p| u32::try_from(p).ok()), uid: credentials.euid() };
        let Stream::UdSocket(stream) = stream;
        let (read, write) = half::split(UnixStream::from(stream).into_std()?.into())?;
        Ok(Self { receiver: Receiver::new(read, 0), sender: Sender::new(write), peer })
    }

    /// The process at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The listener's half of the hello: the verdict on it.
    pub async fn answer(&mut self, verdict: Verdict) -> Result<(), FrameError> {
        send_raw(&mut self.sender, &verdict).await
    }

    /// The caller's half.
    pub(crate) async fn say(&mut self, hello: &Hello) -> Result<(), FrameError> {
        send_raw(&mut self.sender, hello).await
    }

    /// From here on: control messages, no payloads.
    pub fn control<In: DeserializeOwned, Out: Serialize>(self) -> (Receiver<In>, Sender<Out>) {
        (self.receiver.retype(0), self.sender.retype())
    }

    pub(crate) async fn hello(&mut self) -> Result<Option<Hello>, FrameError> {
        self.receiver.next_as().await
    }

    pub(crate) async fn verdict(&mut self) -> Result<Option<Verdict>, FrameError> {
        self.receiver.next_as().await
    }
}

/// Writes one of the two messages of a hello on a connection that has no direction yet.
pub(crate) async fn send_raw<T: Serialize>(sender: &mut Sender<Never>, message: &T) -> Result<(), FrameError> {
    let mut out = bytes::BytesMut::new();
    encode_frame(message, &[], &mut out)?;
    sender.write_raw(&out).await
}

/// A bound local socket. The file is removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    raw: RawListener,
    path: PathBuf,
}

impl Listener {
    /// Binds `path` (mode 0600). A socket left there by an earlier process is removed; anything else there is an error.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) => {
                let what = format!("{} exists and is not a socket", path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let name = path.to_fs_name::<GenericFilePath>()?;
        let raw = ListenerOptions::new().name(name).create_tokio()?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { raw, path: path.to_owned() })
    }

    /// The next caller.
    pub async fn accept(&self) -> io::Result<Connection> {
        Connection::new(self.raw.accept().await?)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Calls the listener at `path`.
pub async fn connect(path: &Path) -> io::Result<Connection> {
    Connection::new(Stream::connect(path.to_fs_name::<GenericFilePath>()?).await?)
}
