//! A statement that remembers which lines of the manifest each of its parts came from.

use crate::finding::Location;
use crate::sql::safe::{Sql, SqlPart};
use crate::yaml::Located;

/// Text for the server, and where it stands in the project.
#[derive(Clone, Debug)]
pub struct LocatedStatement {
    /// The text.
    pub sql: Sql,
    /// Where the object stands.
    pub location: Location,
    /// The SQLSTATE that means it was there already, for what may be made twice.
    pub tolerates: Option<&'static str>,
    /// What it makes, such as `table public.orders`; for messages.
    pub makes: String,
    /// Where written parts begin, in characters of the text, with their places and the columns their next lines begin at.
    parts: Vec<(usize, Location, u32)>,
    /// Characters so far; counting them again for every part would be slow.
    length: usize,
}

impl LocatedStatement {
    /// Begins a statement.
    pub fn begin(location: Location, makes: impl Into<String>) -> Self {
        LocatedStatement {
            sql: Sql::default(),
            location,
            tolerates: None,
            makes: makes.into(),
            parts: Vec::new(),
            length: 0,
        }
    }

    /// Appends our own words.
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.piece(&Sql::new(text))
    }

    /// Appends a piece that quotes itself.
    pub fn piece(&mut self, piece: &dyn SqlPart) -> &mut Self {
        let before = self.sql.as_str().len();
        self.sql.piece(piece);
        self.length += self.sql.as_str()[before..].chars().count();
        self
    }

    /// Appends what a person wrote, as it stands at a place.
    pub fn written(&mut self, text: &str, place: Location) -> &mut Self {
        self.block(text, place, 1)
    }

    /// Appends what a person wrote in lines that all begin at one column, the first of them at a place.
    pub fn block(&mut self, text: &str, place: Location, margin: u32) -> &mut Self {
        self.parts.push((self.length, place, margin));
        self.piece(&Sql::written_by_user(text))
    }

    /// Finds the place of a position the server gave, in characters from 1.
    pub fn location_of(&self, position: Option<u32>) -> Location {
        let Some(position) = position.and_then(|position| usize::try_from(position).ok()) else {
            return self.location.clone();
        };
        let position = position.saturating_sub(1);
        let part = self
            .parts
            .iter()
            .rev()
            .find(|(start, ..)| *start <= position);
        let Some((start, place, margin)) = part else {
            return self.location.clone();
        };
        let Some(line) = place.line else {
            return place.clone();
        };
        let before = self
            .sql
            .as_str()
            .chars()
            .skip(*start)
            .take(position - start);
        let (mut line, mut column) = (line, place.column.unwrap_or(1));
        for character in before {
            if character == '\n' {
                (line, column) = (line + 1, *margin);
            } else {
                column += 1;
            }
        }
        Location::at(place.file.clone(), line, column)
    }
}

/// Returns the place of something in a file.
pub fn location<T>(file: &str, placed: &Located<T>) -> Location {
    Location::at(file, placed.line, placed.column)
}
