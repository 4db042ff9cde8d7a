//! The folder layouts, one file per tool.

mod alembic;
mod dbmate;
mod diesel;
pub(super) mod flyway;
mod golang_migrate;
mod goose;
mod graphile_migrate;
mod node_pg_migrate;
mod prisma;
mod refinery;
mod sqitch;
mod sqlx;
mod supabase;

use std::path::Path;

use anyhow::Result;

use crate::adopt::Tool;
use crate::adopt::tool_folder::FolderReader;

/// Reads a folder as its tool does.
pub(super) fn gather(tool: Tool, folder: &Path, into: &mut FolderReader) -> Result<()> {
    match tool {
        Tool::Alembic => alembic::gather(folder, into),
        Tool::Dbmate => dbmate::gather(folder, into),
        Tool::Diesel => diesel::gather(folder, into),
        Tool::Flyway => flyway::gather(folder, into),
        Tool::GolangMigrate => golang_migrate::gather(folder, into),
        Tool::Goose => goose::gather(folder, into),
        Tool::GraphileMigrate => graphile_migrate::gather(folder, into),
        Tool::NodePgMigrate => node_pg_migrate::gather(folder, into),
        Tool::Prisma => prisma::gather(folder, into),
        Tool::Refinery => refinery::gather(folder, into),
        Tool::Sqitch => sqitch::gather(folder, into),
        Tool::Sqlx => sqlx::gather(folder, into),
        Tool::Supabase => supabase::gather(folder, into),
    }
}
