//! Stands in for the crate `futures-timer`: the same `Delay`, over tokio's clock. Refuses to run outside of a tokio
//! runtime.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// A future that is ready after a while.
#[derive(Debug)]
pub struct Delay(Pin<Box<Sleep>>);

impl Delay {
    /// Ready in `wait` from this moment.
    #[must_use]
    pub fn new(wait: Duration) -> Self {
        Self(Box::pin(tokio::time::sleep(wait)))
    }

    /// Ready in `wait` from this moment, whatever was asked before.
    pub fn reset(&mut self, wait: Duration) {
        self.0.as_mut().reset(Instant::now() + wait);
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}
