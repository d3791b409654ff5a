//! Finds the nodes of a Memcached cluster of ElastiCache.
//!
//! <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/AutoDiscovery.html>

use downpipe_core::cache::{CacheError, CacheFault};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::address::HostPort;
use super::dial;

/// The longest answer that is read: a cluster has at most sixty nodes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Returns the nodes that a configuration endpoint names.
///
/// A Memcached that is no such endpoint does not know the question, and is itself the node.
pub(super) async fn nodes(server: &HostPort) -> Result<Vec<HostPort>, CacheError> {
    let broken = |error: std::io::Error| CacheError { fault: CacheFault::Connection, source: error.into() };
    let mut stream = dial::connect(server).await?;
    stream.write_all(b"config get cluster\r\n").await.map_err(broken)?;
    let mut lines = BufReader::new(stream.take(MAX_ANSWER_BYTES)).lines();
    let mut answer = Vec::new();
    while let Some(line) = lines.next_line().await.map_err(broken)? {
        let is_last = line == "END" || is_error(&line);
        answer.push(line);
        if is_last {
            break;
        }
    }
    let answer: Vec<&str> = answer.iter().map(String::as_str).collect();
    match nodes_in(&answer) {
        Some(nodes) if nodes.is_empty() => Ok(vec![server.clone()]),
        Some(nodes) => Ok(nodes),
        None => {
            let source = "expected a cluster's configuration, got something else".into();
            Err(CacheError { fault: CacheFault::Refused, source })
        }
    }
}

/// Reads the nodes in an answer. An error names no node.
///
/// The answer is a header, a version, `HOST|IP|PORT` for each node with blanks between, an empty line, and `END`.
fn nodes_in(answer: &[&str]) -> Option<Vec<HostPort>> {
    match answer {
        [error] if is_error(error) => Some(Vec::new()),
        [header, _version, nodes, ..] if header.starts_with("CONFIG cluster ") => nodes
            .split_ascii_whitespace()
            .map(node)
            .collect::<Option<Vec<_>>>()
            .filter(|nodes| !nodes.is_empty()),
        _ => None,
    }
}

fn is_error(line: &str) -> bool {
    line == "ERROR" || line.starts_with("CLIENT_ERROR") || line.starts_with("SERVER_ERROR")
}

fn node(text: &str) -> Option<HostPort> {
    let mut fields = text.split('|');
    let (host, ip, port) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
    let host = if host.is_empty() { ip } else { host };
    (!host.is_empty()).then(|| HostPort { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_of_a_configuration_endpoint_names_its_nodes() {
        let nodes = "a.0001.use1.cache.amazonaws.com|10.82.235.120|11211 |10.80.249.27|11212";
        let answer = ["CONFIG cluster 0 136", "12", nodes, "", "END"];
        let expected = [("a.0001.use1.cache.amazonaws.com", 11211), ("10.80.249.27", 11212)];
        let expected = expected.map(|(host, port)| HostPort { host: host.to_owned(), port });
        assert_eq!(nodes_in(&answer).unwrap(), expected);
    }

    #[test]
    fn answer_of_a_plain_memcached_names_no_node() {
        assert_eq!(nodes_in(&["ERROR"]), Some(Vec::new()));
    }

    #[test]
    fn answer_of_something_else_is_refused() {
        for answer in [
            &["HTTP/1.1 400 Bad Request"][..],
            &[],
            &["CONFIG cluster 0 0", "12", "", "", "END"],
            &["CONFIG cluster 0 9", "12", "a|b|c", "", "END"],
        ] {
            assert_eq!(nodes_in(answer), None, "{answer:?}");
        }
    }
}
