//! The argument that asks for metrics, and the listener that hands them out.

use crate::error::{Error, Kind, Result};
use crate::model::event::{Event, Observer};
use crate::report::metrics::{Listener, Metrics};
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};

/// Where metrics are to be had.
#[derive(Debug, Args)]
pub struct Metering {
    /// While the run goes on, answer `GET /metrics` here as Prometheus reads it; a port alone is one of this machine's
    /// own, 127.0.0.1
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = address, conflicts_with = "dry_run")]
    metrics_addr: Option<SocketAddr>,
}

impl Metering {
    /// Starts the listener, if one was asked for. Dropped, it ends.
    pub fn start(&self, metrics: &Metrics<'_>) -> Result<Option<Listener>> {
        let Some(address) = self.metrics_addr else { return Ok(None) };
        let listener = Listener::start(address, metrics.text()).map_err(|e| {
            Error::new(Kind::Usage, format!("metrics cannot be served at {address}"))
                .cause(e)
                .state("nothing was written")
                .hint("`--metrics-addr 127.0.0.1:0` takes a port that is free")
        })?;
        metrics.event(&Event::Info { text: format!("metrics: http://{}/metrics", listener.address()) });
        Ok(Some(listener))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| "state a port, or an address and a port: 9187, 127.0.0.1:9187, [::1]:9187".to_owned())
}
