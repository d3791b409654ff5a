//! Where a request came from, as the function's URL says.

use std::net::IpAddr;

use downpipe_portal::server::came_from;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};

/// Notes the peer that Lambda saw. `X-Forwarded-For` is not looked at: its left is the sender's own word.
pub(crate) fn note(request: &mut Request) {
    if let Some(address) = source(request) {
        came_from(request.extensions_mut(), address);
    }
}

fn source(request: &Request) -> Option<IpAddr> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(source_ip: &str) -> Request {
        let event = serde_json::json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/healthz", "rawQueryString": "",
            "headers": { "x-forwarded-for": "203.0.113.9, 198.51.100.7" }, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "anonymous", "apiId": "a", "stage": "$default", "requestId": "r", "routeKey": "$default",
                "http": { "method": "GET", "path": "/healthz", "protocol": "HTTP/1.1", "sourceIp": source_ip, "userAgent": "" },
            },
        });
        lambda_http::request::from_str(&event.to_string()).unwrap()
    }

    #[test]
    fn peer_is_the_one_that_lambda_saw_and_none_of_a_header() {
        assert_eq!(source(&request("198.51.100.7")), Some("198.51.100.7".parse().unwrap()));
        assert_eq!(source(&request("2001:db8::1")), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(source(&request("")), None);
    }
}
