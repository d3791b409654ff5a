//! What can be exported, and what must be in its file: by an encoder that is slow and obviously right.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use downpipe_core::catalog::{Catalog, DefinitionFile, SqlPiece, Value};
use sha2::{Digest as _, Sha256};

/// Of such rows, four fill a part.
const LARGE: usize = 2 << 20;

/// Texts are cut from this one, each row's somewhere else.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = fastrand::Rng::with_seed(1);
    (0..LARGE + (1 << 16)).map(|_| rng.alphanumeric() as u8).collect()
});

/// An export that there is.
pub(crate) struct Export {
    pub(crate) name: &'static str,
    definition: &'static str,
    /// How many rows it has, and whether they are large.
    rows: i64,
    large: bool,
    /// For spreadsheets.
    excel: bool,
    /// The code of the failure in which it always ends.
    pub(crate) fails: Option<&'static str>,
}

const fn export(name: &'static str, definition: &'static str) -> Export {
    Export { name, definition, rows: 5, large: false, excel: false, fails: None }
}

pub(crate) const EXPORTS: [Export; 12] = [
    export("small", r#"sql = "SELECT id, memo FROM small""#),
    Export { rows: 0, ..export("empty", r#"sql = "SELECT id, memo FROM empty""#) },
    export("reused", "sql = \"SELECT id, memo FROM reused\"\noutput = { reuse = \"10m\" }"),
    Export {
        rows: 14,
        large: true,
        ..export(
            "large",
            "sql = \"SELECT id, memo FROM large WHERE id > :after ORDER BY id\"\nresume = { column = \"id\", start = 0 }",
        )
    },
    Export {
        rows: 10,
        large: true,
        excel: true,
        ..export(
            "sheet",
            "sql = \"SELECT id, memo FROM sheet WHERE id > :after ORDER BY id\"\nresume = { column = \"id\", start = 0 }\noutput = { profile = \"excel\" }",
        )
    },
    Export { rows: 9, large: true, ..export("onerun", r#"sql = "SELECT id, memo FROM onerun""#) },
    Export {
        fails: Some("too_large"),
        ..export("limited", "sql = \"SELECT id, memo FROM limited\"\nlimits = { rows = 2 }")
    },
    Export {
        rows: 7,
        large: true,
        fails: Some("resume_key"),
        ..export(
            "twice",
            "sql = \"SELECT id, memo FROM twice WHERE id > :after ORDER BY id\"\nresume = { column = \"id\", start = 0 }",
        )
    },
    Export {
        rows: 9,
        large: true,
        ..export("shared", "sql = \"SELECT id, memo FROM shared\"\naccess = { shared = true }")
    },
    export(
        "popular",
        "sql = \"SELECT id, memo FROM popular\"\naccess = { shared = true }\noutput = { reuse = \"10m\" }",
    ),
    Export {
        fails: Some("too_large"),
        ..export(
            "crowded",
            "sql = \"SELECT id, memo FROM crowded\"\naccess = { shared = true }\nlimits = { rows = 2 }",
        )
    },
    Export {
        fails: Some("rejected"),
        ..export(
            "secrets",
            "sql = \"SELECT id, memo FROM secrets\"\naccess = { requesters = [\"nobody@x\"] }",
        )
    },
];

pub(crate) fn catalog() -> Catalog {
    let files = EXPORTS.map(|export| DefinitionFile {
        file: format!("{}.toml", export.name),
        text: format!("title = \"{}\"\n{}\n", export.name, export.definition),
    });
    Catalog::parse(&files).unwrap()
}

pub(crate) fn named(name: &str) -> Option<&'static Export> {
    const ALL: &[Export] = &EXPORTS;
    ALL.iter().find(|export| export.name == name)
}

/// Which export a query is of, and after which key its rows begin.
pub(crate) fn of_query(sql: &[SqlPiece]) -> (&'static Export, i64) {
    let mut text = String::new();
    let mut after = 0;
    for piece in sql {
        match piece {
            SqlPiece::Text(piece) => text += piece,
            SqlPiece::Value(Value::Integer(key)) => after = *key,
            SqlPiece::Value(other) => panic!("{other:?} is bound to the query"),
        }
    }
    let table = text.split_whitespace().skip_while(|word| *word != "FROM").nth(1).unwrap();
    (named(table).unwrap(), after)
}

impl Export {
    pub(crate) fn is_resumable(&self) -> bool {
        self.definition.contains("resume")
    }

    /// Keys and texts, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (i64, Option<&'static [u8]>)> {
        let (large, last, twice) = (self.large, self.rows, self.name == "twice");
        (1..=last).map(move |row| {
            let key = if twice && row == last { row - 1 } else { row };
            (key, memo(row, large))
        })
    }

    /// The file.
    pub(crate) fn file(&self) -> &'static File {
        static FILES: Mutex<BTreeMap<&'static str, &'static File>> = Mutex::new(BTreeMap::new());
        FILES.lock().unwrap().entry(self.name).or_insert_with(|| Box::leak(Box::new(self.encode())))
    }

    fn encode(&self) -> File {
        let end: &[u8] = if self.excel { b"\r\n" } else { b"\n" };
        let mut bytes = if self.excel { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
        bytes.extend(b"id,memo");
        bytes.extend(end);
        let mut rows = 0;
        for (key, memo) in self.rows() {
            bytes.extend(format!("{key},").bytes());
            let memo = memo.map(|memo| match memo {
                b"" => b"\"\"".to_vec(),
                b"a \"b\", c" => b"\"a \"\"b\"\", c\"".to_vec(),
                plain => plain.to_vec(),
            });
            bytes.extend(memo.unwrap_or_default());
            bytes.extend(end);
            rows += 1;
        }
        let sha256 = hex::encode(Sha256::digest(&bytes));
        File { bytes, rows, sha256 }
    }
}

/// What a file must be.
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: u64,
    pub(crate) sha256: String,
}

fn memo(row: i64, large: bool) -> Option<&'static [u8]> {
    let at = usize::try_from(row).unwrap() * 997;
    match row % 5 {
        _ if large => Some(&TEXT[at..at + LARGE]),
        1 => Some(b"a \"b\", c"),
        2 => None,
        3 => Some(b""),
        _ => Some(&TEXT[at..at + 9]),
    }
}
