//! Inspects a tenant's script: which tables it loads, and the hashes of their rows.

use std::io::{self, Write};

use crate::dump_inspector::RowHasher;
use crate::proof::TableProof;

/// Hashes the rows of each table in a script as it streams.
#[derive(Default)]
pub struct ScriptInspector {
    line: Vec<u8>,
    rows: Option<(String, RowHasher)>,
    heads: Vec<(String, TableSum)>,
}

type TableSum = crate::dump_inspector::RowSum;

/// Reads `COPY schema.table (columns) FROM stdin;` and gives what stands before ` FROM`.
pub fn head(line: &str) -> Option<&str> {
    line.strip_prefix("COPY ")?.strip_suffix(" FROM stdin;")
}

/// Writes what [`head`] reads.
pub fn head_of(table: &TableProof) -> String {
    let name = crate::sql::name::ObjectName::new(&table.schema, &table.name);
    format!("{name} {}", table.columns)
}

impl ScriptInspector {
    /// Returns whether the script contained the rows of these tables, in this order.
    pub fn holds(&self, tables: &[TableProof]) -> bool {
        self.rows.is_none()
            && self.line.is_empty()
            && self.heads.len() == tables.len()
            && tables.iter().all(|table| {
                let head = head_of(table);
                let is_same = |(name, sum): &&(String, TableSum)| {
                    *name == head && crate::proof::SumProof::from(*sum) == table.sum
                };
                self.heads.iter().any(|one| is_same(&one))
            })
    }

    fn line(&mut self, line: &[u8]) {
        if let Some((name, hasher)) = &mut self.rows {
            hasher.feed(line);
            if hasher.ended() {
                self.heads.push((std::mem::take(name), hasher.sum()));
                self.rows = None;
            }
            return;
        }
        let text = String::from_utf8_lossy(line);
        if let Some(name) = head(text.trim_end_matches('\n')) {
            self.rows = Some((name.to_owned(), RowHasher::default()));
        }
    }
}

impl Write for ScriptInspector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if self.line.is_empty() {
                self.line(&rest[..=end]);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest[..=end]);
                self.line(&line);
                line.clear();
                self.line = line;
            }
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hash_the_same_in_pieces_of_any_size() {
        let text = "-- of tenant 1\nSET a = 1;\nCOPY public.t (id, v) FROM stdin;\n1\tCOPY x FROM stdin;\n2\t\\N\n\\.\nCOPY public.e (id) FROM stdin;\n\\.\n";
        let mut hasher = RowHasher::default();
        hasher.feed(b"1\tCOPY x FROM stdin;\n2\t\\N\n\\.\n");
        let table = |name: &str, columns: &str, sum: TableSum| TableProof {
            schema: "public".to_owned(),
            name: name.to_owned(),
            columns: columns.to_owned(),
            sum: sum.into(),
        };
        let tables = [
            table("e", "(id)", TableSum::default()),
            table("t", "(id, v)", hasher.sum()),
        ];
        for piece in [1, 3, 1000] {
            let mut script = ScriptInspector::default();
            for bytes in text.as_bytes().chunks(piece) {
                script.write_all(bytes).unwrap();
            }
            assert!(script.holds(&tables), "pieces of {piece}");
            assert!(!script.holds(&tables[..1]));
        }
        for end in 0..text.len() - 1 {
            let mut script = ScriptInspector::default();
            script.write_all(&text.as_bytes()[..end]).unwrap();
            assert!(!script.holds(&tables), "cut at {end}");
        }
    }
}
