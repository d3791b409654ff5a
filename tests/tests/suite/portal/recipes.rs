//! The recipes of `docs/app-tokens.md`: each signs a token, and a portal takes it.

use std::path::PathBuf;
use std::process::Command;

use xtask::workspace;

use super::support::{ALICE, KEY, PortalProcess, orders};

/// A recipe: its file, its language in the document, and the program that runs it.
struct Recipe {
    file: &'static str,
    language: &'static str,
    program: &'static [&'static str],
    /// Whether the tests need the program. One that they do not need is run where it is there.
    is_needed: bool,
}

const RECIPES: [Recipe; 6] = [
    Recipe { file: "app_token.py", language: "python", program: &["python3"], is_needed: true },
    Recipe { file: "app_token.mjs", language: "js", program: &["node"], is_needed: true },
    Recipe { file: "app_token.rb", language: "ruby", program: &["ruby"], is_needed: true },
    Recipe { file: "app_token.php", language: "php", program: &["php"], is_needed: false },
    Recipe { file: "AppToken.java", language: "java", program: &["java"], is_needed: false },
    // Compiled as an example of the portal.
    Recipe { file: "app_token.rs", language: "rust", program: &[], is_needed: false },
];

fn path(recipe: &Recipe) -> PathBuf {
    workspace::path(&format!("examples/tokens/{}", recipe.file))
}

/// Runs a recipe and returns what it prints. `None` where its program is not there.
fn token_of(recipe: &Recipe, portal: &str) -> Option<String> {
    let (program, args) = recipe.program.split_first()?;
    let mut command = Command::new(program);
    command.args(args).arg(path(recipe)).arg(ALICE);
    command.envs([("APP", "shop"), ("APP_KID", "2026-11"), ("APP_KEY", KEY), ("PORTAL", portal)]);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            assert!(!recipe.is_needed, "{program}: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}: {output:?}", recipe.file);
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_each_recipe_is_taken_by_a_portal() {
    let test_stack = orders().await;
    let portal = PortalProcess::start(&test_stack).await;
    let mut taken = 0;
    for recipe in &RECIPES {
        let Some(token) = token_of(recipe, &portal.url) else { continue };
        let answer = portal.get_with(&token, "/api/v1/exports").await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", recipe.file);
        assert_eq!(answer.json()["exports"][0]["name"], "orders", "{}", recipe.file);
        taken += 1;
    }
    assert!(taken >= 3, "{taken} recipes");
}

/// With `DOWNPIPE_UPDATE_DOCUMENTS=1` the document is written anew.
#[test]
fn recipes_in_the_document_are_the_files() {
    let document = workspace::path("docs/app-tokens.md");
    let written = std::fs::read_to_string(&document).unwrap();
    let mut expected = written.clone();
    for recipe in &RECIPES {
        let code = std::fs::read_to_string(path(recipe)).unwrap();
        let text = format!("```{}\n{}\n```", recipe.language, code.trim_end());
        expected = xtask::document::replaced("docs/app-tokens.md", &expected, recipe.file, &text).unwrap();
    }
    if std::env::var_os("DOWNPIPE_UPDATE_DOCUMENTS").is_some() {
        std::fs::write(&document, &expected).unwrap();
    } else {
        assert!(
            written == expected,
            "docs/app-tokens.md has other code than examples/tokens: run this test with DOWNPIPE_UPDATE_DOCUMENTS=1"
        );
    }
}
