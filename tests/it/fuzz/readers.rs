//! Everything that reads a file somebody else may have written, called as the program calls it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use af_db::backup::archive::Archive;
use af_db::backup::proof::Proof;
use af_db::catalog::{Catalog, Key, Kind, Object};
use af_db::lint::Source;
use af_db::lint::baseline::Baseline;
use af_db::lint::check::{self, LintOptions};
use af_db::migrate::directive;
use af_db::migrate::files::{Direction, Migration, MigrationFile};
use af_db::plan::document::PlanDocument;
use af_db::plan::document::compare::{EarlierRuns, compare};
use af_db::plan::unit;
use af_db::rls::declared::{self, Declared, expand};
use af_db::sql::position::{self, Positions};
use af_db::sql::split::{self, Statement};
use af_db::sql::token;
use af_db::{config, manifest, migrate};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Migration,
    Manifest,
    Policies,
    /// One line of a manifest or of a policy set, in each place that takes one.
    Line,
    Configuration,
    Plan,
    Archive,
    Proof,
}

impl Reader {
    pub(crate) const ALL: [Reader; 8] = [
        Reader::Migration,
        Reader::Manifest,
        Reader::Policies,
        Reader::Line,
        Reader::Configuration,
        Reader::Plan,
        Reader::Archive,
        Reader::Proof,
    ];

    /// Reads a file in every way in which the program does; a panic is the only thing that can go wrong.
    pub(crate) fn read(self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        match self {
            Reader::Migration => migration(&text),
            Reader::Manifest => manifest(&text),
            Reader::Policies => policies(&text),
            Reader::Line => line(&text),
            Reader::Configuration => drop(config::read_text("af-db.yaml", &text)),
            Reader::Plan => plan(&text),
            Reader::Archive => archive(bytes),
            Reader::Proof => drop(serde_json::from_slice::<Proof>(bytes)),
        }
    }
}

fn migration(text: &str) {
    let statements = split::split(text);
    whole(text, &statements);
    let today = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day");
    let options = LintOptions {
        major: None,
        overrides: Vec::new(),
        today,
    };
    let report = check::check(&[Source::new("V1__a.sql", text)], &options);
    for finding in &report.findings {
        let place = finding
            .place
            .as_ref()
            .expect("a finding of a file has its place");
        let line = usize::try_from(place.line.unwrap_or(1)).expect("a number");
        assert!(line <= text.matches('\n').count() + 1, "{finding:?}");
    }
    let migration = of_text(text);
    for direction in [Direction::Up, Direction::Down] {
        let refused = migrate::static_checks::check(&migration, direction);
        let unclosed = statements
            .iter()
            .any(|statement| statement.unclosed.is_some());
        let said = refused
            .iter()
            .any(|finding| finding.code == "migration-unclosed");
        assert_eq!(unclosed, said);
    }
    let outline = unit::outline(text);
    let pieces = unit::units(&outline, text);
    assert_eq!(
        pieces
            .iter()
            .map(|piece| piece.statements.len())
            .sum::<usize>(),
        statements.len()
    );
    drop(Baseline::parse(text));
}

/// The pieces are the text, and all that is not white space, a comment or a bare semicolon is in a statement.
fn whole(text: &str, statements: &[Statement<'_>]) {
    let positions = Positions::new(text);
    let mut at = 0;
    for piece in statements {
        assert_eq!(piece.from(), at);
        let data = piece.data.unwrap_or_default();
        let joined = [piece.lead, piece.text, piece.tail, data].concat();
        assert_eq!(joined, text[at..piece.until()]);
        assert!(between(piece.lead) && between(piece.tail) && !piece.text.is_empty());
        assert_eq!(piece.position, positions.of_byte(piece.start));
        assert_eq!(piece.position, position::of_byte(text, piece.start));
        if let Some(unclosed) = piece.unclosed {
            assert!(piece.start <= unclosed.offset && unclosed.offset < piece.end);
        }
        at = piece.until();
    }
    let rest = split::rest(text, statements);
    assert_eq!(rest, &text[at..]);
    assert!(between(rest));
}

fn between(text: &str) -> bool {
    token::code(text).all(|token| token.kind == token::TokenKind::Semicolon)
}

fn of_text(text: &str) -> Migration {
    let mut findings = Vec::new();
    let directives = directive::read("V1__a.sql", text, &mut findings);
    let script = MigrationFile {
        shown: "V1__a.sql".to_owned(),
        path: PathBuf::new(),
        text: text.into(),
    };
    Migration {
        version: 1,
        name: "a".to_owned(),
        prefix: 'V',
        up: script.clone(),
        down: Some(script),
        down_directives: directives.clone(),
        directives,
    }
}

fn manifest(text: &str) {
    for name in ["a.yaml", "a.sql"] {
        if let Ok(manifest) = manifest::of_texts([(name, text)]) {
            drop(manifest::normalize::statements(&manifest));
        }
    }
}

/// Puts a line where the documents have one, each time in a document of its own, so that none hides another.
fn line(text: &str) {
    const MANIFEST: &[&str] = &[
        "tables: { app.t: { columns: { LINE: int, c: LINE } } }",
        "tables: { t: { constraints: { c: LINE } } }",
        "tables: { t: { indexes: { i: LINE } } }",
        "tables: { t: { triggers: { g: LINE } } }",
        "tables: { t: { policies: { p: LINE }, grants: { LINE: LINE }, with: LINE } }",
        "tables: { LINE: { sql: LINE } }",
        "views: { LINE: LINE }",
        "domains: { d: LINE }",
        "sql: LINE",
    ];
    const POLICIES: &[&str] = &[
        "tables: { t: { allow: { app: LINE }, guards: { g: LINE } } }",
        "tables: { t: { policies: { p: LINE } } }",
        "{ rows: { own: LINE }, tables: { t: { allow: { app: select on own rows } } } }",
        "{ tenancy: { column: tenant_id, claim: LINE, setting: LINE, tenant: LINE }, tables: { t: { allow: { app: select } } } }",
        "{ templates: { x: { to: LINE, with: { v: LINE }, allow: { LINE: LINE } } } }",
        "{ functions: { LINE: { app: execute } }, views: { LINE: { app: LINE } } }",
        "{ defaults: { app: { LINE: { app: select } } }, except: { LINE: LINE } }",
    ];
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    for document in MANIFEST {
        manifest(&document.replace("LINE", &quoted));
    }
    for document in POLICIES {
        policies(&document.replace("LINE", &quoted));
    }
}

/// A table with a tenant's column and one more.
fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let table = Key::named(Kind::Table, "public", "t");
    catalog.objects.insert(table.clone(), Object::default());
    for column in ["id", "tenant_id", "körper"] {
        let key = Key::part(Kind::Column, "public", "t", column);
        catalog.objects.insert(key, Object::default());
    }
    catalog
}

fn policies(text: &str) {
    let mut declared = Declared::default();
    declared.files.extend(declared::read_file("a.yaml", text));
    if split::check_closed("a.sql", text).is_ok() {
        declared.scripts.push(declared::Script {
            name: "a.sql".to_owned(),
            text: text.to_owned(),
        });
    }
    drop(expand::expand(&declared, &catalog(), Some("tenant_id")));
}

fn plan(text: &str) {
    if let Ok(document) = PlanDocument::parse("plan.json", text) {
        drop((
            document.print(),
            document.relations(),
            document.statements(),
        ));
        drop(compare(&document, &document, &EarlierRuns::default()));
    }
}

fn archive(bytes: &[u8]) {
    drop(Archive::from_json("a", bytes));
    // Nobody can sign what a change has damaged, so what lies behind the checksum is read without it as well.
    let Ok(archive) = serde_json::from_slice::<Archive>(bytes) else {
        return;
    };
    let numbers = (
        archive.stored_bytes(),
        archive.major(),
        archive.scope.is_whole(),
        archive.is_encrypted(),
    );
    drop((
        numbers,
        archive.scope.part(),
        archive.file("database.dump"),
        archive.to_json(),
    ));
    drop(archive.dumps().map(|dumps| dumps.len()));
    let _: BTreeMap<_, _> = archive
        .files
        .iter()
        .map(|file| (&file.name, file))
        .collect();
}
