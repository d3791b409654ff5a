//! Free ports on the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// A port that no other process gets while the reservation lives.
pub(super) struct Reservation {
    listener: TcpListener,
    port: u16,
}

impl Reservation {
    /// Takes the preferred port when it is free, so that addresses stay the same from one start to the next.
    pub(super) fn new(preferred: Option<u16>) -> Result<Self> {
        let preferred = preferred.and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
        let listener = match preferred {
            Some(listener) => listener,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?,
        };
        let port = listener.local_addr().context("cannot read a reserved port")?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Gives the port up, for the server that is about to be started.
    pub(super) fn release(self) -> u16 {
        drop(self.listener);
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_that_is_free_is_taken_again() {
        let port = Reservation::new(None).unwrap().release();
        let again = Reservation::new(Some(port)).unwrap();
        assert_eq!(again.port(), port);
        assert_ne!(Reservation::new(Some(port)).unwrap().port(), port);
    }
}
