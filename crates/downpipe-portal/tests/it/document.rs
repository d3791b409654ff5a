//! The API's document, and its copy among the documents.

use serde_json::Value;

/// Where the copy is.
const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

/// With `DOWNPIPE_UPDATE_DOCUMENTS=1` the copy is written anew.
#[test]
fn copy_of_the_document_is_equal() {
    let document = downpipe_portal::document();
    if std::env::var_os("DOWNPIPE_UPDATE_DOCUMENTS").is_some() {
        std::fs::write(COPY, &document).unwrap();
    }
    let copy = std::fs::read_to_string(COPY).unwrap_or_default();
    assert!(
        copy == document,
        "docs/openapi.json is not what the code says: run this test with DOWNPIPE_UPDATE_DOCUMENTS=1"
    );
}

#[test]
fn every_schema_that_the_document_names_is_in_it() {
    let document = downpipe_portal::document();
    let json: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(json["openapi"], "3.1.0");
    let mut references = document.split("#/components/schemas/").skip(1).peekable();
    assert!(references.peek().is_some());
    for name in references.filter_map(|rest| rest.split('"').next()) {
        assert!(json["components"]["schemas"][name].is_object(), "{name} is missing");
    }
}
