"""create projects

Revision ID: 93ef741889c5
Revises:
Create Date: 2026-01-05 09:00:00.000000

"""
import sqlalchemy as sa
from alembic import op

revision = "93ef741889c5"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.bulk_insert(sa.table("projects", sa.column("id", sa.BigInteger), sa.column("name", sa.Text)), [{"id": 1, "name": "it's ours"}])


def downgrade() -> None:
    op.drop_table("projects")
