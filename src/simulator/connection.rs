//! Connections that a fault can close without an answer, and a listener that a fault can take away for a while.
//!
//! HTTP has no way to say "no answer", so this is done underneath it: the stream of each connection looks at its
//! switches before it reads or writes, and reports a reset once one is thrown. The HTTP layer then gives the
//! connection up, and the system ends it for the other side: with an end of stream (FIN), or where a reset is asked for,
//! with a reset (RST), which is what closing a socket that does not linger does. During an [`Outage`] the listening socket is closed, so that the system itself refuses connections;
//! another program could take the port meanwhile, and then the outage lasts until the port is free again.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

/// How soon binding the port is tried again where another program has it.
const BIND_PAUSE: Duration = Duration::from_millis(10);

/// Times in which nothing listens; clones stand for the same ones.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    /// Until when; the listener watches it.
    until: Arc<watch::Sender<Option<Instant>>>,
    /// Whether nothing listens now; connections watch it.
    is_down: Arc<watch::Sender<bool>>,
}

impl Outage {
    fn new() -> Self {
        Self { until: Arc::new(watch::Sender::new(None)), is_down: Arc::new(watch::Sender::new(false)) }
    }

    /// Closes the listening socket for a while, and all connections at their next use; returns once nothing listens.
    pub(super) async fn begin(&self, length: Duration) {
        let asked = Instant::now() + length;
        let until = |until: Option<Instant>| until.map_or(asked, |until| until.max(asked));
        self.until.send_modify(|before| *before = Some(until(*before)));
        let mut is_down = self.is_down.subscribe();
        // It cannot fail: the other end is held here.
        let _down = is_down.wait_for(|is_down| *is_down).await;
    }
}

/// The switches of one connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    is_cut: Arc<AtomicBool>,
    is_reset: Arc<AtomicBool>,
    /// Has changed once there was an outage after the connection was made.
    is_down: watch::Receiver<bool>,
    outage: Outage,
}

impl Connection {
    fn new(outage: &Outage) -> Self {
        Self {
            is_cut: Arc::default(),
            is_reset: Arc::default(),
            is_down: outage.is_down.subscribe(),
            outage: outage.clone(),
        }
    }

    /// Closes the connection: whatever is answered from now on does not arrive.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Has the connection end with a reset; to be said before it is cut.
    pub(super) fn reset(&self) {
        self.is_reset.store(true, Ordering::Relaxed);
    }

    /// The outages of the listener that made the connection.
    pub(super) fn outage(&self) -> &Outage {
        &self.outage
    }

    fn check(&self) -> io::Result<()> {
        let is_gone = self.is_cut.load(Ordering::Relaxed) || self.is_down.has_changed().unwrap_or(true);
        if is_gone { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().connection.clone()
    }
}

/// A stream with its switch.
#[derive(Debug)]
pub(super) struct CuttableStream {
    stream: TcpStream,
    connection: Connection,
}

impl CuttableStream {
    /// Whether the connection may still be used; where not, what follows is that it is dropped.
    fn check(&self) -> io::Result<()> {
        let checked = self.connection.check();
        if checked.is_err() && self.connection.is_reset.load(Ordering::Relaxed) {
            // It fails only on a socket that is gone already.
            let _gone = self.stream.set_zero_linger();
        }
        checked
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.is_reset.load(Ordering::Relaxed) {
            // A shutdown would send the end of stream before the reset.
            return Poll::Ready(this.check());
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// A listener whose connections have switches, and which is away during an outage.
#[derive(Debug)]
pub(super) struct CuttableListener {
    /// None during an outage.
    socket: Option<TcpListener>,
    address: SocketAddr,
    asked: watch::Receiver<Option<Instant>>,
    outage: Outage,
}

impl CuttableListener {
    pub(super) fn new(socket: TcpListener, address: SocketAddr) -> Self {
        let outage = Outage::new();
        Self { socket: Some(socket), address, asked: outage.until.subscribe(), outage }
    }

    /// Waits until the outage is over and listens again.
    async fn come_back(&mut self) {
        loop {
            let until = *self.asked.borrow_and_update();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => match TcpListener::bind(self.address).await {
                    Ok(socket) => {
                        self.socket = Some(socket);
                        self.outage.is_down.send_replace(false);
                        return;
                    }
                    Err(_) => tokio::time::sleep(BIND_PAUSE).await,
                },
            }
        }
    }
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Self { socket, asked, .. } = self;
            let Some(listening) = socket else {
                self.come_back().await;
                continue;
            };
            tokio::select! {
                biased;
                // The other end of the channel is held here too, so it never closes.
                _ = asked.changed() => {
                    *socket = None;
                    self.outage.is_down.send_replace(true);
                }
                (stream, address) = Listener::accept(listening) => {
                    // Answers are small and waited for: without this each may be held back for an acknowledgement
                    // (40 ms). A connection that is gone already fails here, and will say so when it is read.
                    let _gone = stream.set_nodelay(true);
                    return (CuttableStream { stream, connection: Connection::new(&self.outage) }, address);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}
