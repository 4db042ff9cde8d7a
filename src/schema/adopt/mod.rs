//! Other tools' migrations: their folders read in place, their history rows, and taking both over.
//!
//! Each tool has one file under `tools/`: how it lists its folder and what its history table says. What runs a
//! migration, and our own history, stay with `migrate`; nothing here writes to another tool's table.

pub mod adopted_history;
pub mod convert;
pub mod detect;
pub mod new_files;
pub mod portability;
pub mod render;
mod sections;
mod sha1;
pub mod source;
pub mod tool_folder;
pub mod tool_history;
mod tools;
pub mod verify;

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::ToolFolder;
use crate::error::fail;

/// A tool whose migrations can be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Alembic, whose revisions are programs and are taken over converted.
    Alembic,
    Dbmate,
    Diesel,
    Flyway,
    GolangMigrate,
    Goose,
    GraphileMigrate,
    /// node-pg-migrate, its SQL files.
    NodePgMigrate,
    /// Prisma Migrate.
    Prisma,
    /// refinery, whose layout and history are our own.
    Refinery,
    Sqitch,
    Sqlx,
    /// The Supabase CLI.
    Supabase,
}

impl Tool {
    /// Every tool, by name.
    pub const ALL: [Tool; 13] = [
        Tool::Alembic,
        Tool::Dbmate,
        Tool::Diesel,
        Tool::Flyway,
        Tool::GolangMigrate,
        Tool::Goose,
        Tool::GraphileMigrate,
        Tool::NodePgMigrate,
        Tool::Prisma,
        Tool::Refinery,
        Tool::Sqitch,
        Tool::Sqlx,
        Tool::Supabase,
    ];

    /// Returns the word that flags and configuration use.
    pub fn word(self) -> &'static str {
        match self {
            Tool::Alembic => "alembic",
            Tool::Dbmate => "dbmate",
            Tool::Diesel => "diesel",
            Tool::Flyway => "flyway",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Goose => "goose",
            Tool::GraphileMigrate => "graphile-migrate",
            Tool::NodePgMigrate => "node-pg-migrate",
            Tool::Prisma => "prisma",
            Tool::Refinery => "refinery",
            Tool::Sqitch => "sqitch",
            Tool::Sqlx => "sqlx",
            Tool::Supabase => "supabase",
        }
    }

    /// Understands the word; an error names the tools that are known.
    pub fn parse(word: &str) -> Result<Tool> {
        if let Some(tool) = Tool::ALL.into_iter().find(|tool| tool.word() == word) {
            return Ok(tool);
        }
        let words: Vec<&str> = Tool::ALL.iter().map(|tool| tool.word()).collect();
        let failure = fail(format!("unknown layout `{word}`"));
        Err(match crate::yaml::nearest(word, words.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint(format!("layouts: af-db, {}", words.join(", "))),
        }
        .into())
    }
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Lists a folder in a tool's layout; a folder that is not there is empty.
pub fn list(tool: Tool, folder: &Path, shown: &str) -> Result<ToolFolder> {
    let mut gathering = tool_folder::FolderReader::new(tool, shown);
    if folder.exists() {
        tools::gather(tool, folder, &mut gathering)?;
    }
    Ok(gathering.finish())
}
