//! Reads the operation of a request to AWS, and writes AWS's error answers, in each service's
//! protocol.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use url::form_urlencoded;

/// The header in which JSON protocols name the operation.
const TARGET: &str = "x-amz-target";

/// The protocol of a service.
#[derive(Debug, Clone, Copy)]
pub(super) enum Protocol {
    /// S3.
    Rest,
    /// SNS.
    Query,
    /// SQS, Secrets Manager.
    Json,
}

impl Protocol {
    pub(super) fn of(head: &Parts, is_form: bool) -> Self {
        if head.headers.contains_key(TARGET) {
            Self::Json
        } else if is_form {
            Self::Query
        } else {
            Self::Rest
        }
    }

    /// Builds an error answer.
    pub(super) fn refusal(self, status: u16, code: &str) -> Response<Full<Bytes>> {
        const WORDS: &str = "Said by a proxy.";
        let error = format!("<Error><Code>{code}</Code><Message>{WORDS}</Message></Error>");
        let (kind, body) = match self {
            _ if code.is_empty() => ("text/plain", String::new()),
            Self::Rest => ("application/xml", format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{error}")),
            Self::Query => {
                let request = "<RequestId>none</RequestId>";
                ("text/xml", format!("<ErrorResponse>{error}{request}</ErrorResponse>"))
            }
            Self::Json => {
                ("application/x-amz-json-1.0", format!("{{\"__type\":\"{code}\",\"message\":\"{WORDS}\"}}"))
            }
        };
        let mut answer = Response::new(Full::new(body.into()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        answer
    }
}

/// Returns AWS's name of a request's operation, and its part number if it has one.
pub(super) fn operation(head: &Parts, form: &[u8]) -> (String, Option<u32>) {
    if let Some(target) = head.headers.get(TARGET) {
        let target = target.to_str().unwrap();
        return (target.rsplit('.').next().unwrap().to_owned(), None);
    }
    if let Some((_, action)) = form_urlencoded::parse(form).find(|(name, _)| name == "Action") {
        return (action.into_owned(), None);
    }
    let query: Vec<(_, _)> =
        form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).collect();
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
    let has = |name: &str| value(name).is_some();
    let part = value("partNumber").and_then(|number| number.parse().ok());
    let is_object = head.uri.path().trim_matches('/').contains('/');
    let operation = match (&head.method, is_object) {
        (&Method::POST, true) if has("uploads") => "CreateMultipartUpload",
        (&Method::POST, true) if has("uploadId") => "CompleteMultipartUpload",
        (&Method::PUT, true) if has("uploadId") && head.headers.contains_key("x-amz-copy-source") => {
            "UploadPartCopy"
        }
        (&Method::PUT, true) if has("uploadId") => "UploadPart",
        (&Method::DELETE, true) if has("uploadId") => "AbortMultipartUpload",
        (&Method::GET, true) if has("uploadId") => "ListParts",
        (&Method::GET, false) if has("uploads") => "ListMultipartUploads",
        (&Method::GET, false) if has("list-type") => "ListObjectsV2",
        (&Method::PUT, true) => "PutObject",
        (&Method::GET, true) => "GetObject",
        (&Method::HEAD, true) => "HeadObject",
        (&Method::DELETE, true) => "DeleteObject",
        (method, _) => return (format!("{method} {}", head.uri.path()), part),
    };
    (operation.to_owned(), part)
}
