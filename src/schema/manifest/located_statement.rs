//! A statement that remembers which lines of the manifest each of its parts came from.

use crate::finding::Location;
use crate::sql::safe::{Sql, SqlPart};
use crate::yaml::Located;

/// A statement, with the locations of its parts in the project.
#[derive(Clone, Debug)]
pub struct LocatedStatement {
    pub sql: Sql,
    /// The location of the declaration.
    pub location: Location,
    /// The SQLSTATE for an object that exists already, if that is no error.
    pub tolerates: Option<&'static str>,
    /// The object that it creates, such as `table public.orders`.
    pub makes: String,
    /// The parts copied from files: start in characters, location, and the column at which their further lines begin.
    parts: Vec<(usize, Location, u32)>,
    /// The length in characters; counting them for every part would be slow.
    length: usize,
}

impl LocatedStatement {
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

    /// Appends static text.
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.piece(&Sql::new(text))
    }

    /// Appends a part that quotes itself.
    pub fn piece(&mut self, piece: &dyn SqlPart) -> &mut Self {
        let before = self.sql.as_str().len();
        self.sql.piece(piece);
        self.length += self.sql.as_str()[before..].chars().count();
        self
    }

    /// Appends text from a location in a file.
    pub fn written(&mut self, text: &str, place: Location) -> &mut Self {
        self.block(text, place, 1)
    }

    /// Appends text of several lines that all begin at one column.
    pub fn block(&mut self, text: &str, place: Location, margin: u32) -> &mut Self {
        self.parts.push((self.length, place, margin));
        self.piece(&Sql::written_by_user(text))
    }

    /// Returns the location of a position that the server reported, in characters from 1.
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

/// Returns the location of a value in a file.
pub fn location<T>(file: &str, placed: &Located<T>) -> Location {
    Location::at(file, placed.line, placed.column)
}
