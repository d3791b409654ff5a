//! `s3-server --dir DIR`: S3 on a folder. `s3-server --discard`: S3 that keeps nothing, so that the
//! measurement excludes the store. The folder costs as much processor time as an export.
//!
//! Buckets are folders: `mkdir DIR/BUCKET` creates one. Addresses are paths, without a host name
//! for each bucket. The credentials are `test` and `test`.

mod discard;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::discard::Discard;

/// S3 on a folder
#[derive(Parser)]
struct Options {
    /// The folder with the buckets, each a folder
    #[arg(long, required_unless_present = "discard")]
    dir: Option<PathBuf>,
    /// Receive and check everything, and keep only sizes and checksums
    #[arg(long, conflicts_with = "dir")]
    discard: bool,
    /// Hold the answer to every part of an upload this long
    #[arg(long, default_value_t = 0)]
    part_delay_ms: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let mut service = match &options.dir {
        Some(dir) => {
            let files = FileSystem::new(dir).map_err(|error| anyhow!("{error:?}"));
            S3ServiceBuilder::new(files.with_context(|| format!("cannot use the folder {}", dir.display()))?)
        }
        None => S3ServiceBuilder::new(Discard::default()),
    };
    service.set_auth(SimpleAuth::from_single("test", "test"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener, service.build(), Duration::from_millis(options.part_delay_ms)).await
}

/// Serves requests until the process ends.
async fn serve(listener: TcpListener, service: S3Service, part_delay: Duration) -> Result<()> {
    loop {
        let (connection, _) = listener.accept().await?;
        // Without it, an answer of two packets waits until the client confirms the first.
        connection.set_nodelay(true)?;
        let service = service.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let service = service.clone();
            async move {
                let is_part = is_part(&request);
                let answer = service.call(request.map(Body::from)).await;
                if is_part {
                    tokio::time::sleep(part_delay).await;
                }
                answer
            }
        });
        tokio::spawn(
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(connection), answer),
        );
    }
}

fn is_part(request: &Request<Incoming>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::PUT && query.split('&').any(|pair| pair.starts_with("partNumber="))
}
