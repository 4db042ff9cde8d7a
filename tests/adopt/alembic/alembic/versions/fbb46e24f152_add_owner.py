"""add owner

Revision ID: fbb46e24f152
Revises: 93ef741889c5
Create Date: 2026-01-06 09:00:00.000000

"""
import sqlalchemy as sa
from alembic import op

revision = "fbb46e24f152"
down_revision = "93ef741889c5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("owner", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("projects", "owner")
