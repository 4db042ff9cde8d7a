"""create studios

Revision ID: 3c1f0a9d2b7e
Revises:
Create Date: 2026-01-05 09:00:00.000000

"""
import sqlalchemy as sa
from alembic import op

revision = "3c1f0a9d2b7e"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "studios",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )


def downgrade() -> None:
    op.drop_table("studios")
