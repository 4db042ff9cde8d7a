//! Adopts the migrations of other tools: reads their folders in place and their history tables.
//!
//! Each tool has one file under `tools/`, which reads its folder. Running migrations
//! and af-db's own history are in `migrate`; nothing here writes to another tool's table.

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

/// A tool whose migrations can be adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Alembic; its revisions are programs and are converted.
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
    /// refinery, whose layout and history af-db uses.
    Refinery,
    Sqitch,
    Sqlx,
    /// The Supabase CLI.
    Supabase,
}

impl Tool {
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

    /// Parses the name of a tool; the error lists them.
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

/// Lists a folder in a tool's layout; a missing folder is empty.
pub fn list(tool: Tool, folder: &Path, shown: &str) -> Result<ToolFolder> {
    let mut gathering = tool_folder::FolderReader::new(tool, shown);
    if folder.exists() {
        tools::gather(tool, folder, &mut gathering)?;
    }
    Ok(gathering.finish())
}
