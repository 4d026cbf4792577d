//! The wish to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A wish to stop, and what would be left behind now. Shared between `apply` and whoever listens to signals.
#[derive(Debug, Default)]
pub struct Interrupt {
    is_asked: AtomicBool,
    pub(super) has_written: AtomicBool,
    in_flight: Mutex<Option<String>>,
    wake: Notify,
}

impl Interrupt {
    /// Asks `apply` to start nothing new.
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Comes back once it is asked for.
    pub(super) async fn asked(&self) {
        while !self.is_asked() {
            self.wake.notified().await;
        }
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Whether a job was written to, or may have been.
    pub fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    /// Key of the job whose write was sent and is not settled yet.
    pub fn in_flight(&self) -> Option<String> {
        self.lock().clone()
    }

    /// A write to a job is about to be sent.
    pub(super) fn write(&self, key: &str) {
        *self.lock() = Some(key.to_owned());
    }

    /// No write is in flight any more.
    pub(super) fn rest(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
